//! Pages, threads, members, names and unread counts are what one would work out from the history by hand.

use super::Promise;
use crate::world::report::Violation;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "views equal their log",
    says: "Pages, threads, members, names and unread counts are what one would work out from the history by hand.",
};

/// What a comparison came to.
pub fn found(channel: &str, compared: Result<(), String>) -> Result<(), Violation> {
    compared.map_err(|difference| PROMISE.broken(format!("{channel}: {difference}")))
}
