//! Time goes on: nothing spins for ever at one instant, and something is always left that can happen.

use super::Promise;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "liveness",
    says: "Time goes on: nothing spins for ever at one instant, and something is always left that can happen.",
};
