//! Everybody sees a conversation in the same order, without a gap and nothing twice, also across reconnections.

use super::{Promise, members_only::Moves};
use crate::{
    oracle::{
        Logs,
        book::{Book, Shown},
    },
    world::report::Violation,
};

/// See above.
pub const PROMISE: Promise = Promise {
    name: "in order, no gap",
    says: "Everybody sees a conversation in the same order, without a gap and nothing twice, also across reconnections.",
};

/// The next event of a channel.
pub fn next(client: usize, channel: &str, shown: &mut Shown, seq: u64) -> Result<(), Violation> {
    if seq != shown.last() + 1 && seq > shown.last() && shown.begins(seq) {
        shown.jump(seq - 1);
    }
    PROMISE.holds(seq == shown.last() + 1, || {
        format!("client {client} was at {} of {channel} and was shown {seq}", shown.last())
    })
}

/// A connection goes on from its cursor; further on only where the user joined again, which the log says at the end.
pub fn resumed(client: usize, channel: &str, shown: &mut Shown, from: u64) -> Result<(), Violation> {
    if from > shown.last() {
        shown.jump(from);
    }
    PROMISE.holds(from == shown.last(), || {
        format!("client {client} was at {} of {channel} and is served from {from}", shown.last())
    })
}

/// Every jump was over events that were not for this user: the run before it ends with a leave, or the new one begins
/// with a join that the user had not heard of.
pub fn judge(book: &Book, logs: &Logs, user_of: &dyn Fn(usize) -> String) -> Result<(), Violation> {
    for (client, channels) in &book.shown {
        let user = user_of(*client);
        for (channel, shown) in channels.iter().filter(|(_, shown)| shown.runs.len() > 1) {
            let moves = Moves::of(logs.of(channel));
            for run in &shown.runs[1..] {
                PROMISE.holds(moves.joins(&user, run.from + 1), || {
                    format!(
                        "client {client} was sent on to {} of {channel}, where its user did not join",
                        run.from
                    )
                })?;
            }
        }
    }
    Ok(())
}
