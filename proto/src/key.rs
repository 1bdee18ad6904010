//! Idempotency keys: what a client chose so that a retry is neither stored nor delivered twice.

use crate::ts::Micros;

/// Longest key accepted, in bytes.
pub const KEY_BYTES_MAX: usize = 64;
/// A key whose own time is older than this is refused: nobody remembers it any more. 7 days.
pub const KEY_AGE_MAX_US: Micros = 7 * 24 * 3600 * 1_000_000;

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`KEY_BYTES_MAX`] or not printable ASCII.
    #[error("an idempotency key is at most 64 printable ASCII characters, without spaces")]
    Malformed,
    /// Older than [`KEY_AGE_MAX_US`] by the time inside it.
    #[error("the idempotency key is older than 7 days: whether it was applied is no longer known")]
    TooOld,
}

/// The time inside a UUIDv7, in microseconds; `None` for keys without one (v4, Slack's `client_msg_id`).
///
/// It is the client's clock that speaks here, which may be ahead: who searches by this time must allow for
/// it. Source: RFC 9562, section 5.7 (48 bits of Unix milliseconds).
pub fn time_us(key: &str) -> Option<Micros> {
    let uuid = uuid::Uuid::try_parse(key).ok()?;
    (uuid.get_version_num() == 7).then(|| {
        let bytes = uuid.as_bytes();
        let ms = bytes[..6].iter().fold(0u64, |ms, b| (ms << 8) | u64::from(*b));
        ms * 1000
    })
}

/// Checks a key's form and age at `now`. Empty keys are legal: they mean that a retry may double.
pub fn check(key: &str, now: Micros) -> Result<(), KeyError> {
    if key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(KeyError::Malformed);
    }
    match time_us(key) {
        Some(us) if us.saturating_add(KEY_AGE_MAX_US) < now => Err(KeyError::TooOld),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
