//! A user's own log: what they joined, how far they read, who mentioned them, their tokens.
//!
//! Pure core of a channel whose log is `user:U`. Most of its commands are follow-ups of other logs, at least once.

use crate::command::{Command, Verb};
use crate::store::ViewWrite;
use crate::subject::{Applied, Decision, Draft, Loaded, Need};
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
    /// Those that were issued or read since the actor started; `None`: the user has none of this hash.
    tokens: BTreeMap<String, Option<TokenRow>>,
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
            Verb::RevokeToken { hash } => self.revoke(hash),
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

    /// The row keeps what the token was: it has to be here first.
    fn revoke(&mut self, hash: &str) -> Decision {
        match self.tokens.get(hash) {
            None => Decision::Need(Need::Token(hash.to_owned())),
            Some(None) => {
                // It may be issued yet, and there is no end of hashes to remember.
                self.tokens.remove(hash);
                Decision::refuse("token_not_found")
            }
            Some(Some(_)) => append(Body::TokenRevoked(v1::TokenRevoked { hash: hash.to_owned() })),
        }
    }

    /// Takes a row that was read; what is here already is not older.
    pub fn loaded(&mut self, loaded: Loaded) {
        let Loaded::Token(hash, row) = loaded else { return };
        let own = |row: &TokenRow| row.workspace == self.workspace.as_str() && row.user == self.user.as_str();
        self.tokens.entry(hash).or_insert(row.filter(own));
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
                self.tokens.insert(issued.hash.clone(), Some(row.clone()));
                Some(ViewWrite::Token { hash: issued.hash.clone(), row })
            }
            Some(Body::TokenRevoked(revoked)) => {
                let row = self.tokens.get_mut(&revoked.hash).and_then(Option::as_mut);
                row.map(|row| {
                    row.revoked = true;
                    ViewWrite::Token { hash: revoked.hash.clone(), row: row.clone() }
                })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proto::v1::{ConversationKind, TokenKind};

    fn inbox() -> Inbox {
        let (workspace, user) = (WorkspaceId::parse("T1").unwrap(), UserId::parse("UANN").unwrap());
        Inbox::new(workspace, user, BTreeMap::new(), BTreeMap::new())
    }
    fn channel() -> ConversationId {
        ConversationId::parse("C1").unwrap()
    }
    /// Decides and applies: the view that it made, if it made one.
    fn does(inbox: &mut Inbox, seq: u64, verb: Verb) -> Result<Option<ViewWrite>, &'static str> {
        match inbox.decide(&Command::system("", verb)) {
            Decision::Append(draft) => {
                let event = Event { seq, us: seq * 1000, body: Some(draft.body), ..Event::default() };
                Ok(inbox.apply(&event).views.pop())
            }
            Decision::Nothing(_) => Ok(None),
            Decision::Refuse(refusal) => Err(refusal.code()),
            Decision::Need(need) => panic!("this is all in memory, and needs {need:?}"),
        }
    }
    fn joined(seq: u64) -> Verb {
        Verb::NoteJoined { channel: channel(), seq, kind: ConversationKind::Public }
    }
    fn left(seq: u64) -> Verb {
        Verb::NoteLeft { channel: channel(), seq }
    }
    fn row(seq: u64, left: bool, left_seq: u64) -> Result<Option<ViewWrite>, &'static str> {
        let row = JoinedRow { seq, kind: ConversationKind::Public.into(), left, left_seq };
        Ok(Some(ViewWrite::Joined { channel: channel(), row }))
    }
    fn revoke(hash: &str) -> Verb {
        Verb::RevokeToken { hash: hash.into() }
    }
    fn mark(target_us: u64) -> Verb {
        Verb::Mark { channel: channel(), target_us, seq: target_us, countable: 1, broadcast: 0 }
    }

    #[test]
    fn joins_and_leaves_are_noted_once_though_they_are_told_again() {
        let mut inbox = inbox();
        assert_eq!(does(&mut inbox, 1, joined(5)), row(5, false, 0));
        assert_eq!(does(&mut inbox, 2, left(9)), row(5, true, 9), "where it began is kept");
        for again in [joined(5), left(9), joined(9), left(7)] {
            assert_eq!(does(&mut inbox, 3, again), Ok(None));
        }
        assert_eq!(does(&mut inbox, 3, joined(12)), row(12, false, 0));
        for again in [joined(5), left(9), joined(12), left(12)] {
            assert_eq!(does(&mut inbox, 4, again), Ok(None), "an older story changes nothing");
        }
        assert_eq!(does(&mut inbox, 4, left(13)), row(12, true, 13));
    }

    #[test]
    fn a_leave_of_something_never_joined_is_kept_and_lets_nothing_be_replayed() {
        let mut inbox = inbox();
        let kept = JoinedRow { seq: 9, left: true, left_seq: 9, ..JoinedRow::default() };
        let write = ViewWrite::Joined { channel: channel(), row: kept };
        assert_eq!(does(&mut inbox, 1, left(9)), Ok(Some(write)));
    }

    #[test]
    fn marks_go_forward_and_back_where_the_user_is() {
        let mut inbox = inbox();
        assert_eq!(does(&mut inbox, 1, mark(7)), Err("not_in_channel"));
        does(&mut inbox, 1, joined(5)).unwrap();
        for us in [7, 9, 6] {
            assert!(
                matches!(does(&mut inbox, 2, mark(us)), Ok(Some(ViewWrite::Mark { row, .. })) if row.us == us)
            );
        }
        assert_eq!(does(&mut inbox, 3, mark(6)), Ok(None));
        does(&mut inbox, 4, left(9)).unwrap();
        assert_eq!(does(&mut inbox, 5, mark(7)), Err("not_in_channel"));
    }

    #[test]
    fn only_the_user_and_the_system_write_here() {
        let mut inbox = inbox();
        let by = |name: &str| Command::by(&UserId::parse(name).unwrap(), joined(5));
        assert_eq!(inbox.decide(&by("UBOB")), Decision::refuse("no_permission"));
        assert!(matches!(inbox.decide(&by("UANN")), Decision::Append(_)));
        let elsewhere = does(&mut inbox, 1, Verb::Archive);
        assert_eq!(elsewhere, Err("method_not_supported_for_channel_type"));
    }

    #[test]
    fn a_revoked_token_stays_whose_it_was() {
        let mut inbox = inbox();
        let scopes = vec!["chat:write".to_owned()];
        let issue = Verb::IssueToken { hash: "h".into(), kind: TokenKind::Bot, scopes: scopes.clone() };
        let Ok(Some(ViewWrite::Token { row, .. })) = does(&mut inbox, 1, issue) else { panic!("no token") };
        assert_eq!((row.user.as_str(), row.scopes.clone(), row.revoked), ("UANN", scopes, false));
        let revoked = TokenRow { revoked: true, ..row };
        for seq in [2, 3] {
            let write = ViewWrite::Token { hash: "h".into(), row: revoked.clone() };
            assert_eq!(does(&mut inbox, seq, revoke("h")), Ok(Some(write)));
        }
    }

    #[test]
    fn a_token_of_another_life_of_this_actor_is_read_and_keeps_what_it_was() {
        let (mut inbox, old) = (inbox(), "of another life");
        let row = TokenRow {
            workspace: "T1".into(),
            user: "UANN".into(),
            kind: TokenKind::Bot.into(),
            scopes: vec!["chat:write".into()],
            created_us: 7,
            revoked: false,
        };
        let needed = inbox.decide(&Command::system("", revoke(old)));
        assert_eq!(needed, Decision::Need(Need::Token(old.into())));
        inbox.loaded(Loaded::Token(old.into(), Some(row.clone())));
        let revoked = TokenRow { revoked: true, ..row.clone() };
        let write = ViewWrite::Token { hash: old.into(), row: revoked };
        assert_eq!(does(&mut inbox, 1, revoke(old)), Ok(Some(write.clone())));
        inbox.loaded(Loaded::Token(old.into(), Some(row.clone())));
        assert_eq!(
            does(&mut inbox, 2, revoke(old)),
            Ok(Some(write)),
            "a row that was read late changes nothing"
        );

        for (hash, nobodys) in
            [("never issued", None), ("bob's", Some(TokenRow { user: "UBOB".into(), ..row }))]
        {
            inbox.loaded(Loaded::Token(hash.into(), nobodys));
            assert_eq!(does(&mut inbox, 3, revoke(hash)), Err("token_not_found"));
        }
    }
}
