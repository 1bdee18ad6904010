//! A message crosses to a node once, however many listen there, and not at all when nobody does.

use super::Promise;
use crate::world::report::Violation;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "one copy a gateway",
    says: "A message goes to a gateway node once, however many listen there, and not at all when nobody does.",
};

/// Copies against events, over a whole run in which every conversation has one gateway.
pub fn at_most_one(copies: u64, events: u64) -> Result<(), Violation> {
    PROMISE.holds(copies <= events, || format!("{copies} copies of {events} events, one gateway each"))
}

/// Copies of messages that were posted after everybody had left.
pub fn none_for_nobody(copies: u64) -> Result<(), Violation> {
    PROMISE.holds(copies == 0, || format!("{copies} copies were made of messages to which nobody listened"))
}
