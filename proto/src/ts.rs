//! Times: microseconds since 1970, Slack's `ts` text, and the 64-bit id, which are the same thing three ways.
//!
//! `ts` is primary, per channel and monotonic; the id is arithmetic on it and unique together with its
//! channel.

/// Microseconds since the Unix epoch.
pub type Micros = u64;

/// 2010-01-01T00:00:00Z in microseconds: where the 64-bit ids start, so that Slack-era history imports.
pub const ID_EPOCH_US: Micros = 1_262_304_000_000_000;
/// Low bits of an id that come from the channel.
pub const ID_CHANNEL_BITS: u32 = 12;
/// Bits of an id in all: the highest of 64 stays 0, so that an id is the same number where integers are
/// signed (databases, Java, JSON tools).
const ID_BITS: u32 = 63;
/// Digits of the longest seconds that fit: those of `u64::MAX` microseconds.
const SECONDS_DIGITS_MAX: usize = 14;

/// Slack's text form, `<seconds>.<6 digits>`.
pub fn format(us: Micros) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// Reads a `ts` as clients send it, a JSON number's text included: a missing or short fraction is padded, a
/// longer one cut; `0` is the beginning. `None` when it is not a time at all or does not fit.
pub fn parse(text: &str) -> Option<Micros> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || seconds.len() > SECONDS_DIGITS_MAX || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let micros = format!("{fraction:0<6.6}").parse::<u64>().ok()?;
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

/// The 64-bit id of (`us`, channel); `None` before 2010 or after 2081-05-10, where it does not fit in 63
/// bits.
pub fn to_id(us: Micros, channel_low12: u16) -> Option<u64> {
    let since = us.checked_sub(ID_EPOCH_US)?;
    let fits = since >> (ID_BITS - ID_CHANNEL_BITS) == 0;
    fits.then(|| (since << ID_CHANNEL_BITS) | u64::from(channel_low12 & 0x0fff))
}

/// Back from an id: (`us`, low 12 bits of the channel). `None` for numbers that [`to_id`] never makes.
pub fn from_id(id: u64) -> Option<(Micros, u16)> {
    let fits = id >> ID_BITS == 0;
    fits.then(|| ((id >> ID_CHANNEL_BITS) + ID_EPOCH_US, (id & 0x0fff) as u16))
}

/// The channel's contribution to its ids: the low 12 bits of XXH3 over its bytes.
pub fn channel_low12(channel: &str) -> u16 {
    (xxhash_rust::xxh3::xxh3_64(channel.as_bytes()) & 0x0fff) as u16
}

/// The next time of a log: never before the clock, always after the last one.
pub fn next(now: Micros, last: Micros) -> Micros {
    now.max(last.saturating_add(1))
}

#[cfg(test)]
mod tests;
