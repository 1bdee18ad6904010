//! A user's own log: what they joined, how far they read, who mentioned them, their tokens.
//!
//! Pure core of a channel whose log is `user:U`. Most of its commands are follow-ups of other logs, at least once.

use crate::command::{Command, Verb};
use crate::store::ViewWrite;
use crate::subject::{Applied, Decision, Draft};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::event::Body;
use proto::v1::{self, Event, JoinedRow, MarkRow, TokenRow};
use std::collections::BTreeMap;

/// State of a user's log.
#[derive(Debug)]
pub struct Inbox {
    workspace: WorkspaceId,
    user: UserId,
    joined: BTreeMap<ConversationId, JoinedRow>,
    marks: BTreeMap<ConversationId, MarkRow>,
    tokens: BTreeMap<String, TokenRow>,
}

impl Inbox {
    /// The state as the views have it.
    pub fn new(
        workspace: WorkspaceId,
        user: UserId,
        joined: BTreeMap<ConversationId, JoinedRow>,
        marks: BTreeMap<ConversationId, MarkRow>,
    ) -> Self {
        Self { workspace, user, joined, marks, tokens: BTreeMap::new() }
    }

    /// What to do about a command. Only the user and the system may change a user's log.
    pub fn decide(&mut self, command: &Command) -> Decision {
        if command.sender.as_ref().is_some_and(|sender| *sender != self.user) {
            return Decision::refuse("no_permission");
        }
        match &*command.verb {
            Verb::NoteJoined { channel, seq, kind } => match self.joined.get(channel) {
                Some(row) if row.seq.max(row.left_seq) >= *seq => Decision::Nothing(None),
                _ => append(Body::ConversationJoined(v1::ConversationJoined {
                    channel: channel.to_string(),
                    seq: *seq,
                    kind: (*kind).into(),
                })),
            },
            Verb::NoteLeft { channel, seq } => match self.joined.get(channel) {
                Some(row) if row.left || row.seq >= *seq => Decision::Nothing(None),
                _ => append(Body::ConversationLeft(v1::ConversationLeft {
                    channel: channel.to_string(),
                    seq: *seq,
                })),
            },
            Verb::NoteMention { channel, target_us } => {
                append(Body::Mentioned(v1::Mentioned { channel: channel.to_string(), target_us: *target_us }))
            }
            Verb::Mark { channel, target_us, seq, countable, broadcast } => {
                self.mark(channel, *target_us, *seq, *countable, *broadcast)
            }
            Verb::IssueToken { hash, kind, scopes } => append(Body::TokenIssued(v1::TokenIssued {
                hash: hash.clone(),
                kind: (*kind).into(),
                scopes: scopes.clone(),
            })),
            Verb::RevokeToken { hash } => append(Body::TokenRevoked(v1::TokenRevoked { hash: hash.clone() })),
            _ => Decision::refuse("method_not_supported_for_channel_type"),
        }
    }

    fn mark(
        &self,
        channel: &ConversationId,
        target_us: u64,
        seq: u64,
        countable: u64,
        broadcast: u64,
    ) -> Decision {
        if self.joined.get(channel).is_none_or(|row| row.left) {
            return Decision::refuse("not_in_channel");
        }
        if self.marks.get(channel).is_some_and(|mark| mark.us == target_us) {
            return Decision::Nothing(None);
        }
        let channel = channel.to_string();
        append(Body::Marked(v1::Marked { channel, target_us, seq, countable, broadcast }))
    }

    /// Takes an event into the state.
    pub fn apply(&mut self, event: &Event) -> Applied {
        let write = match &event.body {
            Some(Body::ConversationJoined(joined)) => {
                let row = JoinedRow { seq: joined.seq, kind: joined.kind, ..JoinedRow::default() };
                self.joined_write(&joined.channel, row)
            }
            Some(Body::ConversationLeft(left)) => {
                let known = ConversationId::parse(&left.channel).ok();
                let known = known.and_then(|channel| self.joined.get(&channel).copied());
                // Where the membership began says what of the log may still be replayed.
                let row = known.unwrap_or(JoinedRow { seq: left.seq, ..JoinedRow::default() });
                self.joined_write(&left.channel, JoinedRow { left: true, left_seq: left.seq, ..row })
            }
            Some(Body::Marked(marked)) => {
                let row = MarkRow {
                    us: marked.target_us,
                    seq: marked.seq,
                    countable: marked.countable,
                    broadcast: marked.broadcast,
                };
                ConversationId::parse(&marked.channel).ok().map(|channel| {
                    self.marks.insert(channel.clone(), row);
                    ViewWrite::Mark { channel, row }
                })
            }
            Some(Body::TokenIssued(issued)) => {
                let row = TokenRow {
                    workspace: self.workspace.to_string(),
                    user: self.user.to_string(),
                    kind: issued.kind,
                    scopes: issued.scopes.clone(),
                    created_us: event.us,
                    revoked: false,
                };
                self.tokens.insert(issued.hash.clone(), row.clone());
                Some(ViewWrite::Token { hash: issued.hash.clone(), row })
            }
            Some(Body::TokenRevoked(revoked)) => {
                let mut row = self.tokens.remove(&revoked.hash).unwrap_or_default();
                (row.workspace, row.user) = (self.workspace.to_string(), self.user.to_string());
                row.revoked = true;
                Some(ViewWrite::Token { hash: revoked.hash.clone(), row })
            }
            _ => None,
        };
        Applied { views: write.into_iter().collect(), ..Applied::default() }
    }

    fn joined_write(&mut self, channel: &str, row: JoinedRow) -> Option<ViewWrite> {
        let channel = ConversationId::parse(channel).ok()?;
        self.joined.insert(channel.clone(), row);
        Some(ViewWrite::Joined { channel, row })
    }
}

fn append(body: Body) -> Decision {
    Decision::Append(Box::new(Draft::silent(body)))
}
