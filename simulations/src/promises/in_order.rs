//! Everybody sees a conversation in the same order, without a gap and nothing twice, also across reconnections.

use super::{Promise, members_only::Moves};
use crate::{
    oracle::{
        Logs,
        book::{Book, Shown},
    },
    world::report::Violation,
};
use proto::v1::Page;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "in order, no gap",
    says: "Everybody sees a conversation in the same order, without a gap and nothing twice, also after reconnecting.",
};

/// The next event of a channel. One that was joined while connected begins with the join, which the log says at the
/// end.
pub fn next(client: usize, channel: &str, shown: &mut Shown, seq: u64) -> Result<(), Violation> {
    if !shown.has_begun() {
        shown.unannounced = true;
        shown.jump(seq.saturating_sub(1));
    } else if seq != shown.last() + 1 && seq > shown.last() && shown.begins(seq) {
        shown.jump(seq - 1);
    }
    PROMISE.holds(seq == shown.last() + 1, || {
        format!("client {client} was at {} of {channel} and was shown {seq}", shown.last())
    })
}

/// A connection goes on from its cursor; further on only where the user joined again, which the log says at the end.
pub fn resumed(client: usize, channel: &str, shown: &mut Shown, from: u64) -> Result<(), Violation> {
    if from > shown.last() || !shown.has_begun() {
        shown.jump(from);
    }
    PROMISE.holds(from == shown.last(), || {
        format!("client {client} was at {} of {channel} and is served from {from}", shown.last())
    })
}

/// A page is a part of its log without a gap.
pub fn page(channel: &str, page: &Page) -> Result<(), Violation> {
    let dense = page.events.windows(2).all(|two| two[0].seq + 1 == two[1].seq);
    let within = page.events.last().is_none_or(|event| event.seq <= page.tail);
    PROMISE.holds(dense && within, || {
        let seqs: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
        format!("a page of {channel}, which ends at {}, holds {seqs:?}", page.tail)
    })
}

/// Every run that no welcome announced begins with a join of its user, and so does every one after a jump.
pub fn judge(book: &Book, logs: &Logs, user_of: &dyn Fn(usize) -> String) -> Result<(), Violation> {
    for (client, channels) in &book.shown {
        let user = user_of(*client);
        for (channel, shown) in channels {
            let at_joins = shown.runs.iter().skip(usize::from(!shown.unannounced));
            let mut begins = at_joins.map(|run| run.from + 1).peekable();
            if begins.peek().is_none() {
                continue;
            }
            let moves = Moves::of(logs.of(channel));
            if let Some(begins) = begins.find(|begins| !moves.joins(&user, *begins)) {
                return Err(PROMISE.broken(format!(
                    "client {client} was served {channel} from {begins} on, where its user did not join"
                )));
            }
        }
    }
    Ok(())
}
