//! A message crosses to a node once, however many listen there, and not at all when nobody does.

use super::Promise;
use crate::world::report::Violation;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "one copy a gateway",
    says: "A message goes to a gateway node once, however many listen there, and not at all when nobody does.",
};

/// Copies against events that were spread to at most so many gateways each.
pub fn at_most(copies: u64, events: u64, gateways: usize) -> Result<(), Violation> {
    PROMISE.holds(copies <= events * gateways as u64, || {
        format!("{copies} copies of {events} events, {gateways} gateways each at most")
    })
}

/// Copies of messages that were posted after everybody had left.
pub fn none_for_nobody(copies: u64) -> Result<(), Violation> {
    PROMISE.holds(copies == 0, || format!("{copies} copies were made of messages to which nobody listened"))
}
