//! Logs to try folds on: a conversation, a user's, a workspace's, and what they are made of.

use proto::id::{ConversationId, UserId};
use proto::ts::Micros;
use proto::v1::event::Body;
use proto::v1::{self, Content, ConversationKind, Event, TokenKind};

/// Time of the event with this seq.
pub(super) const fn us(seq: u64) -> Micros {
    1000 + seq
}

pub(super) fn who(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(super) fn channel(name: &str) -> ConversationId {
    ConversationId::parse(name).unwrap()
}

pub(super) fn content(text: &str) -> Option<Content> {
    Some(Content { text: text.into(), ..Content::default() })
}

pub(super) fn post(text: &str, thread: u64, reply_broadcast: bool) -> Body {
    let thread_us = if thread == 0 { 0 } else { us(thread) };
    Body::Posted(v1::Posted { content: content(text), thread_us, reply_broadcast, ..v1::Posted::default() })
}
pub(super) fn edit(target: u64, text: &str) -> Body {
    Body::Edited(v1::Edited { target_us: us(target), content: content(text) })
}
pub(super) fn delete(target: u64) -> Body {
    Body::Deleted(v1::Deleted { target_us: us(target) })
}
pub(super) fn react(target: u64) -> Body {
    Body::Reacted(v1::Reacted { target_us: us(target), name: "tada".into() })
}
pub(super) fn unreact(target: u64) -> Body {
    Body::Unreacted(v1::Unreacted { target_us: us(target), name: "tada".into() })
}
pub(super) fn join(user: &str, inviter: &str) -> Body {
    Body::Joined(v1::Joined { user: user.into(), inviter: inviter.into() })
}
pub(super) fn leave(user: &str) -> Body {
    Body::Left(v1::Left { user: user.into(), by: String::new() })
}

/// Numbers events: sender and body; `counts` says of a seq whether it counts, and whether it mentions everyone.
pub(super) fn log(bodies: Vec<(&str, Body)>, counts: &[(u64, bool)]) -> Vec<Event> {
    let (mut countable, mut broadcast) = (0, 0);
    let event = |((sender, body), seq): ((&str, Body), u64)| {
        if let Some((_, all)) = counts.iter().find(|(of, _)| *of == seq) {
            (countable, broadcast) = (countable + 1, broadcast + u64::from(*all));
        }
        let (sender, body) = (sender.to_owned(), Some(body));
        Event { seq, us: us(seq), epoch: 1, sender, countable, broadcast, body, ..Event::default() }
    };
    bodies.into_iter().zip(1..).map(event).collect()
}

/// Everything that can happen in a conversation. Ann wrote 11 and deleted it; 19 is a tombstone.
pub(super) fn talk() -> Vec<Event> {
    let members = vec!["UANN".into(), "UBOB".into()];
    let kind = ConversationKind::Public.into();
    let bodies = vec![
        ("", Body::Created(v1::Created { name: "general".into(), kind, members })),
        ("UANN", post("hello", 0, false)),
        ("UBOB", post("well", 2, false)),
        ("UBOB", post("<!here> look", 2, true)),
        ("UANN", react(2)),
        ("UBOB", react(2)),
        ("UANN", unreact(2)),
        ("UANN", edit(2, "hello all")),
        ("UEVE", join("UEVE", "")),
        ("UEVE", post("<!channel> it is me", 0, false)),
        ("UANN", post("", 0, false)),
        ("UANN", delete(11)),
        ("", Body::Renamed(v1::Renamed { name: "lounge".into() })),
        ("UANN", Body::TopicSet(v1::TopicSet { topic: "tea".into() })),
        ("UANN", Body::PurposeSet(v1::PurposeSet { purpose: "rest".into() })),
        ("UEVE", leave("UEVE")),
        ("", Body::Archived(v1::Archived {})),
        ("", Body::Unarchived(v1::Unarchived {})),
        ("UBOB", post("", 0, false)),
        ("UANN", post("yes", 19, false)),
        ("UBOB", delete(19)),
    ];
    // Nobody knows any more that 11 mentioned everyone.
    let counts = [(2, false), (4, true), (10, true), (11, true), (19, false)];
    let mut events = log(bodies, &counts);
    for at in [10, 18] {
        let gone = Some(Content { redacted: true, ..Content::default() });
        events[at].body = events[at].body.take().map(|body| match body {
            Body::Posted(posted) => Body::Posted(v1::Posted { content: gone, ..posted }),
            other => other,
        });
    }
    events
}

/// Ann was in C1 twice, has read it up to 4 and had a token.
pub(super) fn diary() -> Vec<Event> {
    let joined = |seq| {
        let kind = ConversationKind::Public.into();
        Body::ConversationJoined(v1::ConversationJoined { channel: "C1".into(), seq, kind })
    };
    let left = |seq| Body::ConversationLeft(v1::ConversationLeft { channel: "C1".into(), seq });
    let scopes = vec!["chat:write".into()];
    let kind = TokenKind::User.into();
    let bodies = vec![
        ("", joined(1)),
        ("UANN", mark(4, 2, 1)),
        ("", Body::Mentioned(v1::Mentioned { channel: "C1".into(), target_us: us(10) })),
        ("", Body::TokenIssued(v1::TokenIssued { hash: "h".into(), kind, scopes: scopes.clone() })),
        ("", left(16)),
        ("", Body::ConversationLeft(v1::ConversationLeft { channel: "C2".into(), seq: 7 })),
        ("", joined(20)),
        ("UANN", Body::TokenRevoked(v1::TokenRevoked { hash: "h".into() })),
        ("", Body::TokenIssued(v1::TokenIssued { hash: "i".into(), kind, scopes })),
    ];
    log(bodies, &[])
}

pub(super) fn mark(seq: u64, countable: u64, broadcast: u64) -> Body {
    Body::Marked(v1::Marked { channel: "C1".into(), target_us: us(seq), seq, countable, broadcast })
}

pub(super) fn added(user: &str, name: &str, email: &str) -> Body {
    let (user, name, email) = (user.into(), name.into(), email.into());
    Body::UserAdded(v1::UserAdded { user, name, email, ..v1::UserAdded::default() })
}
pub(super) fn opened(channel: &str, name: &str, kind: ConversationKind, member: &str) -> Body {
    let members = vec![member.to_owned()];
    let (channel, name, creator) = (channel.into(), name.into(), member.into());
    Body::ConversationAdded(v1::ConversationAdded { channel, name, kind: kind.into(), creator, members })
}
pub(super) fn renamed(channel: &str, name: &str, kind: ConversationKind) -> Body {
    let (channel, name, kind) = (channel.into(), name.into(), kind.into());
    Body::ConversationRenamed(v1::ConversationRenamed { channel, name, kind, ..Default::default() })
}

pub(super) const PUBLIC: ConversationKind = ConversationKind::Public;

/// Two people, four conversations; C1 was called general, and C3 is.
pub(super) fn founding() -> Vec<Event> {
    let created = v1::WorkspaceCreated { name: "Test".into(), domain: "test".into() };
    let bodies = vec![
        ("", Body::WorkspaceCreated(created)),
        ("", added("UANN", "ann", "ann@example.org")),
        ("", added("UBOB", "bob", "")),
        ("UANN", opened("C1", "general", PUBLIC, "UANN")),
        ("UANN", opened("C2", "random", PUBLIC, "UANN")),
        ("", renamed("C1", "lounge", PUBLIC)),
        ("UBOB", opened("C3", "general", PUBLIC, "UBOB")),
        ("UBOB", opened("D1", "", ConversationKind::Im, "UBOB")),
        ("UBOB", opened("D2", "", ConversationKind::Im, "UBOB")),
    ];
    log(bodies, &[])
}
