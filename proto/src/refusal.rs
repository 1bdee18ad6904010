//! Refusals: the closed list of reasons that a user can be given, and what each says about the state of
//! things.

/// Why a command was not done. Slack's own error strings are [`Refusal::code`]; the native protocol sends the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Named by one of Slack's error strings; nothing was changed.
    #[error("{0}")]
    Named(&'static str),
    /// A queue or a rate is at its limit; nothing was changed, try again after the delay.
    #[error("busy, try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u32,
    },
    /// The store refuses writes (disk full, damaged); nothing was changed.
    #[error("the store does not take writes now: {0}")]
    Unavailable(String),
    /// The channel's node does not reach the store; nothing was changed.
    #[error("the store is not reached now: {0}")]
    OutOfReach(String),
    /// The outcome is not known: it may still take effect. Retry with the same key.
    #[error("the outcome is not known; retry with the same key")]
    Unknown,
    /// The key was used before with another content; nothing was changed.
    #[error("the idempotency key was used with another content")]
    KeyReused,
    /// The idempotency key is malformed or too old; nothing was changed.
    #[error("{0}")]
    BadKey(#[from] crate::key::KeyError),
}

impl Refusal {
    /// Every code but those that [`Self::Named`] brings along.
    pub const CODES: [&'static str; 6] = [
        "ratelimited",
        "service_unavailable",
        "internal_error",
        "idempotency_key_reused",
        "invalid_idempotency_key",
        "idempotency_key_too_old",
    ];

    /// The error string: Slack's where Slack has one.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Named(code) => code,
            Self::Busy { .. } => "ratelimited",
            Self::Unavailable(_) | Self::OutOfReach(_) => "service_unavailable",
            Self::Unknown => "internal_error",
            Self::KeyReused => "idempotency_key_reused",
            Self::BadKey(crate::key::KeyError::Malformed) => "invalid_idempotency_key",
            Self::BadKey(crate::key::KeyError::TooOld) => "idempotency_key_too_old",
        }
    }
    /// What is known about the command: `not_applied` or `unknown`.
    pub fn state(&self) -> &'static str {
        if matches!(self, Self::Unknown) { "unknown" } else { "not_applied" }
    }
    /// When trying again makes sense, in milliseconds; 0 when it does not.
    pub fn retry_after_ms(&self) -> u32 {
        match self {
            Self::Busy { retry_after_ms } => *retry_after_ms,
            Self::Unavailable(_) | Self::OutOfReach(_) | Self::Unknown => 1000,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyError;

    /// A refusal of each kind, one after the other, in the order of the list. A new kind does not compile until it has
    /// its place in the row.
    fn next(refusal: &Refusal) -> Option<Refusal> {
        match refusal {
            Refusal::Named(_) => Some(Refusal::Busy { retry_after_ms: 1 }),
            Refusal::Busy { .. } => Some(Refusal::Unavailable(String::new())),
            Refusal::Unavailable(_) => Some(Refusal::OutOfReach(String::new())),
            Refusal::OutOfReach(_) => Some(Refusal::Unknown),
            Refusal::Unknown => Some(Refusal::KeyReused),
            Refusal::KeyReused => Some(Refusal::BadKey(KeyError::Malformed)),
            Refusal::BadKey(KeyError::Malformed) => Some(Refusal::BadKey(KeyError::TooOld)),
            Refusal::BadKey(KeyError::TooOld) => None,
        }
    }

    #[test]
    fn the_list_of_codes_has_the_code_of_every_refusal_and_no_other() {
        let own = std::iter::successors(next(&Refusal::Named("not_in_channel")), next);
        let mut codes: Vec<&str> = own.map(|refusal| refusal.code()).collect();
        codes.dedup(); // `Unavailable` and `OutOfReach` are one to clients
        assert_eq!(codes, Refusal::CODES);
    }
}
