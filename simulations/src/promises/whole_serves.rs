//! A node whose machine and store are whole starts, has what it kept, and answers.

use super::Promise;
use crate::world::report::Violation;
use std::fmt::Display;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "who is whole serves",
    says: "A node whose machine and store are whole starts, has what it kept, and answers.",
};

/// It did not.
pub fn failed(what: &str, error: impl Display) -> Violation {
    PROMISE.broken(format!("{what}: {error}"))
}

/// An empty store is given a workspace to begin with, and no other one is.
pub fn seeded(is_empty: bool, made: bool) -> Result<(), Violation> {
    PROMISE.holds(is_empty == made, || format!("a store that is empty ({is_empty}) was seeded ({made})"))
}
