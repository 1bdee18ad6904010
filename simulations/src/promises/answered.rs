//! When the weather clears, everything that was asked is answered within a minute.

use super::Promise;
use std::time::Duration;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "everything is answered",
    says: "When the weather clears, everything that was asked is answered within a minute.",
};

/// Virtual time in which everything must be answered and level after the last fault: back-offs run up to 30 s, and a
/// half-open connection is noticed after 30 s.
pub const HEALED_WITHIN: Duration = Duration::from_secs(60);
