//! A user's own log: memberships, read positions, mentions, tokens.

use super::{counts_nothing, in_order, unless, wrong};
use proto::id::ConversationId;
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{Event, JoinedRow, MarkRow, TokenRow};
use std::collections::{BTreeMap, BTreeSet};

/// What a user's log says of its user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inbox {
    /// The only one who wrote here, the system apart.
    pub owner: Option<String>,
    /// Conversations that the user is, or was, in.
    pub joined: BTreeMap<ConversationId, JoinedRow>,
    /// Read positions.
    pub marks: BTreeMap<ConversationId, MarkRow>,
    /// Messages that mention the user.
    pub mentions: BTreeMap<ConversationId, BTreeSet<Micros>>,
    /// Tokens by hash, without whose they are: the log does not say its own name.
    pub tokens: BTreeMap<String, TokenRow>,
}

impl Inbox {
    /// Folds a whole log, from its first event on. The error names the seq that should not be there.
    pub fn of(events: &[Event]) -> Result<Self, String> {
        in_order(events)?;
        let mut inbox = Self::default();
        for event in events {
            counts_nothing(event)?;
            if !event.sender.is_empty() {
                let owner = inbox.owner.get_or_insert_with(|| event.sender.clone());
                let own = *owner == event.sender;
                unless(own, event, || format!("is by {} in the log of {owner}", event.sender))?;
            }
            inbox.take(event)?;
        }
        Ok(inbox)
    }

    fn take(&mut self, event: &Event) -> Result<(), String> {
        match event.body.as_ref().ok_or_else(|| wrong(event, "does not say what happened"))? {
            Body::ConversationJoined(joined) => {
                let channel = conversation(event, &joined.channel)?;
                let known = self.joined.get(&channel).map_or(0, |row| row.seq.max(row.left_seq));
                unless(joined.seq > known, event, || {
                    format!("joins {channel} at {}, and {known} is noted", joined.seq)
                })?;
                let row = JoinedRow { seq: joined.seq, kind: joined.kind, left: false, left_seq: 0 };
                self.joined.insert(channel, row);
            }
            Body::ConversationLeft(left) => {
                let channel = conversation(event, &left.channel)?;
                // A leave of something never joined lets nothing be replayed: it begins where it ends.
                let never = JoinedRow { seq: left.seq, ..JoinedRow::default() };
                let row = self.joined.entry(channel.clone()).or_insert(never);
                unless(!row.left, event, || format!("leaves {channel}, which was left"))?;
                unless(row.seq < left.seq || *row == never, event, || {
                    format!("leaves {channel} at {}, before the join at {}", left.seq, row.seq)
                })?;
                (row.left, row.left_seq) = (true, left.seq);
            }
            Body::Marked(marked) => {
                let channel = conversation(event, &marked.channel)?;
                let member = self.joined.get(&channel).is_some_and(|row| !row.left);
                unless(member, event, || format!("marks {channel}, where the user is not"))?;
                let row = MarkRow {
                    us: marked.target_us,
                    seq: marked.seq,
                    countable: marked.countable,
                    broadcast: marked.broadcast,
                };
                let old = self.marks.insert(channel.clone(), row);
                let moved = old.is_none_or(|old| old.us != row.us);
                unless(moved, event, || format!("marks {channel} where it is marked"))?;
            }
            Body::Mentioned(mentioned) => {
                let channel = conversation(event, &mentioned.channel)?;
                let us = mentioned.target_us;
                let new = self.mentions.entry(channel.clone()).or_default().insert(us);
                unless(new, event, || format!("notes the mention at {us} of {channel} again"))?;
            }
            Body::TokenIssued(issued) => {
                let row = TokenRow {
                    kind: issued.kind,
                    scopes: issued.scopes.clone(),
                    created_us: event.us,
                    ..TokenRow::default()
                };
                let new = self.tokens.insert(issued.hash.clone(), row).is_none();
                unless(new, event, || "issues a token that was issued".into())?;
            }
            Body::TokenRevoked(revoked) => {
                let row = self.tokens.get_mut(&revoked.hash);
                row.ok_or_else(|| wrong(event, "revokes a token that was never issued"))?.revoked = true;
            }
            _ => return Err(wrong(event, "does not belong into a user's log")),
        }
        Ok(())
    }
}

fn conversation(event: &Event, text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text)
        .map_err(|error| wrong(event, format!("names a conversation wrongly: {error}")))
}
