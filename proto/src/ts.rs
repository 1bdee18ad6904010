//! Times: microseconds since 1970, Slack's `ts` text, and the 64-bit id, which are the same thing three ways.
//!
//! `ts` is primary, per channel and monotonic; the id is arithmetic on it and unique together with its channel.

/// Microseconds since the Unix epoch.
pub type Micros = u64;

/// 2010-01-01T00:00:00Z in microseconds: where the 64-bit ids start, so that Slack-era history imports.
pub const ID_EPOCH_US: Micros = 1_262_304_000_000_000;
/// Low bits of an id that come from the channel.
pub const ID_CHANNEL_BITS: u32 = 12;

/// Slack's text form, `<seconds>.<6 digits>`.
pub fn format(us: Micros) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// Reads a `ts` as clients send it: missing or short fractions are padded, longer ones cut; `0` is the beginning.
/// `None` when it is not a time at all.
pub fn parse(text: &str) -> Option<Micros> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || seconds.len() > 12 || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let micros = format!("{:0<6.6}", fraction);
    Some(seconds.parse::<u64>().ok()? * 1_000_000 + micros.parse::<u64>().ok()?)
}

/// The 64-bit id of (`us`, channel); `None` before 2010 or after 2081-05-10, where it does not fit.
pub fn to_id(us: Micros, channel_low12: u16) -> Option<u64> {
    let since = us.checked_sub(ID_EPOCH_US)?;
    let fits = since >> (64 - ID_CHANNEL_BITS) == 0;
    fits.then(|| (since << ID_CHANNEL_BITS) | u64::from(channel_low12 & 0x0fff))
}

/// Back from an id: (`us`, low 12 bits of the channel). `None` past the last microsecond that fits in 64 bits.
pub fn from_id(id: u64) -> Option<(Micros, u16)> {
    let us = (id >> ID_CHANNEL_BITS).checked_add(ID_EPOCH_US)?;
    Some((us, (id & 0x0fff) as u16))
}

/// The channel's contribution to its ids: the low 12 bits of XXH3 over its bytes.
pub fn channel_low12(channel: &str) -> u16 {
    (xxhash_rust::xxh3::xxh3_64(channel.as_bytes()) & 0x0fff) as u16
}

/// The next time of a log: never before the clock, always after the last one.
pub fn next(now: Micros, last: Micros) -> Micros {
    now.max(last.saturating_add(1))
}
