//! Only who was in a conversation at that moment is shown what was said in it.

use super::Promise;
use crate::{
    oracle::{
        Logs,
        book::{Book, Told},
    },
    world::report::Violation,
};
use proto::v1::{ConversationKind, Event, event::Body};
use std::collections::BTreeMap;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "members only",
    says: "Only who was in a conversation at that moment is shown what was said in it.",
};

/// From which seq to which each user was a member; the leave itself is still theirs.
#[derive(Debug, Default)]
pub struct Moves<'a>(BTreeMap<&'a str, Vec<(u64, u64)>>);

impl<'a> Moves<'a> {
    /// As the log has it.
    pub fn of(log: &'a [Event]) -> Self {
        let mut moves: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
        for event in log {
            match &event.body {
                Some(Body::Created(created)) => {
                    for user in &created.members {
                        moves.entry(user).or_default().push((event.seq, u64::MAX));
                    }
                }
                Some(Body::Joined(joined)) => {
                    moves.entry(&joined.user).or_default().push((event.seq, u64::MAX));
                }
                Some(Body::Left(left)) => {
                    let open = moves.get_mut(left.user.as_str()).into_iter().flatten();
                    open.filter(|(_, until)| *until == u64::MAX).for_each(|(_, until)| *until = event.seq);
                }
                _ => {}
            }
        }
        Self(moves)
    }
    /// Whether the user was a member at this seq.
    pub fn is_member(&self, user: &str, seq: u64) -> bool {
        self.0.get(user).is_some_and(|moves| moves.iter().any(|(from, to)| (*from..=*to).contains(&seq)))
    }
    /// Whether the user became a member with this event.
    pub fn joins(&self, user: &str, seq: u64) -> bool {
        self.0.get(user).is_some_and(|moves| moves.iter().any(|(from, _)| *from == seq))
    }
}

/// Whether only members may know what was ever said in a conversation.
fn is_closed(log: &[Event]) -> bool {
    let created = log.iter().find_map(|event| match &event.body {
        Some(Body::Created(created)) => Some(created.kind()),
        _ => None,
    });
    created.is_some_and(|kind| kind != ConversationKind::Public)
}

/// Nobody was shown anything that happened while they were not a member.
pub fn judge(book: &Book, logs: &Logs, user_of: &dyn Fn(usize) -> String) -> Result<(), Violation> {
    for (client, channels) in &book.shown {
        let user = user_of(*client);
        for (channel, shown) in channels {
            let Some((workspace, name)) = channel.split_once('/') else { continue };
            if name.starts_with("user:") || name.starts_with("ws:") {
                let own = name == format!("ws:{workspace}") || name == format!("user:{user}");
                PROMISE.holds(own, || format!("client {client} of {user} was shown {channel}"))?;
                continue;
            }
            let moves = Moves::of(logs.of(channel));
            for run in &shown.runs {
                let seqs = run.from + 1..=run.from + run.prints.len() as u64;
                if let Some(seq) = seqs.into_iter().find(|seq| !moves.is_member(&user, *seq)) {
                    return Err(PROMISE.broken(format!(
                        "client {client} of {user} was shown {seq} of {channel} and was no member then"
                    )));
                }
            }
        }
    }
    for (client, channel) in &book.readers {
        let (user, log) = (user_of(*client), logs.of(channel));
        PROMISE.holds(!is_closed(log) || Moves::of(log).0.contains_key(user.as_str()), || {
            format!("client {client} of {user} was given a page of {channel} and never was a member")
        })?;
    }
    let mut moves: BTreeMap<&str, Moves<'_>> = BTreeMap::new();
    for told in &book.told {
        let moves = moves.entry(&told.channel).or_insert_with(|| Moves::of(logs.of(&told.channel)));
        let (user, event) = (user_of(told.client), logs.at(&told.channel, told.us));
        PROMISE.holds(event.is_none_or(|event| moves.is_member(&user, event.seq)), || {
            let Told { client, channel, us, .. } = told;
            format!("client {client} of {user} was shown what was said in {channel} at {us} and was no member then")
        })?;
    }
    Ok(())
}
