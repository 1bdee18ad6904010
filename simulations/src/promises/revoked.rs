//! A token that was ended opens nothing, and what it had opened is closed within five seconds.

use super::Promise;
use crate::world::report::Violation;
use std::time::Duration;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "revoked is out",
    says: "A token that was ended opens nothing, and what it had opened is closed within five seconds.",
};

/// How long a live session may go on.
pub const WITHIN: Duration = Duration::from_secs(5);

/// A token that was revoked at `revoked` opened a connection that was asked for at `asked`, both world times.
pub fn opened(client: usize, revoked: Duration, asked: Duration) -> Result<(), Violation> {
    PROMISE.holds(asked <= revoked, || {
        format!("client {client} was let in at {asked:?} on a token revoked at {revoked:?}")
    })
}

/// A connection whose token was revoked at `revoked` was sent something that was said at `said`, both world times.
pub fn shown(client: usize, revoked: Duration, said: Duration) -> Result<(), Violation> {
    PROMISE.holds(said <= revoked + WITHIN, || {
        format!("client {client} was shown what was said at {said:?} on a token revoked at {revoked:?}")
    })
}
