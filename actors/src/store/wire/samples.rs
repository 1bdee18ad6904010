//! A day in the life of a small store: every call once, with arguments that tell, so that two stores can be compared
//! and a carrier can be shown all there is.

use crate::store::{Append, BatchId, LogId, MessageRange, Store, ViewWrite};
use cluster::claims::{Claim, Claims};
use cluster::slots::Slot;
use futures::FutureExt;
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::ts::Micros;
use proto::v1::{
    Content, ConversationRow, Event, JoinedRow, MarkRow, MemberRow, MessageRow, Posted, SlotRow, TokenRow,
    UserRow, WorkspaceRow, event::Body,
};
use std::fmt::Debug;

/// A call by its name, and what came of it.
pub type Said = (&'static str, String);

/// Time of the first event, at the start of a minute.
const START_US: Micros = 1_800_000_000_000_000;
const MINUTE: u64 = START_US / 60_000_000;
/// Epochs are higher than what fits in one byte of the wire, and no argument is like another.
const EPOCH: u64 = 300;

pub fn workspace() -> WorkspaceId {
    WorkspaceId::parse("T1").expect("a workspace id")
}
pub fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a user id")
}
pub fn conversation(id: &str) -> ConversationId {
    ConversationId::parse(id).expect("a conversation id")
}
pub fn log(channel: &str) -> LogId {
    LogId::new(workspace(), ChannelId::parse(channel).expect("a channel id"))
}

/// An append behind `tail` of two events, a second apart, with these views.
pub fn append(channel: &str, bucket: u32, tail: u64, views: Vec<ViewWrite>) -> Append {
    let event = |seq: u64| Event {
        seq,
        us: START_US + seq * 1_000_000,
        epoch: EPOCH,
        sender: "U1".into(),
        key: format!("key-{seq}"),
        countable: seq,
        fingerprint: u64::MAX - seq,
        body: Some(Body::Posted(Posted { content: content("hello"), ..Posted::default() })),
        ..Event::default()
    };
    Append {
        log: log(channel),
        slot: Slot::new(4095).expect("a slot"),
        bucket,
        tail,
        epoch: EPOCH,
        batch: BatchId([tail as u8; 16]),
        followed: tail + 1,
        events: vec![event(tail + 1), event(tail + 2)],
        views,
    }
}

fn content(text: &str) -> Option<Content> {
    Some(Content { text: text.into(), ..Content::default() })
}

/// Writes of a conversation's log, each kind once or more.
pub fn views_of_a_conversation() -> Vec<ViewWrite> {
    let message = |us, thread_us| MessageRow { us, thread_us, content: content("hi"), ..Default::default() };
    let reaction = |us, name: &str, id: &str, seq| ViewWrite::Reaction {
        bucket: 3,
        us,
        name: name.into(),
        user: user(id),
        seq,
    };
    let member =
        |id: &str, seq| ViewWrite::Member { user: user(id), row: MemberRow { seq, inviter: "U9".into() } };
    let row = ConversationRow { name: "general".into(), members: 2, ..ConversationRow::default() };
    vec![
        ViewWrite::Message(message(10, 0)),
        ViewWrite::Message(message(20, 0)),
        ViewWrite::Message(message(22, 0)),
        ViewWrite::Message(message(24, 0)),
        ViewWrite::Message(message(30, 0)),
        ViewWrite::MessageGone { bucket: 3, us: 30 },
        ViewWrite::Reply(message(23, 20)),
        ViewWrite::Reply(message(25, 20)),
        ViewWrite::Reply(message(26, 20)),
        ViewWrite::Reply(message(27, 20)),
        ViewWrite::Reply(message(28, 10)),
        ViewWrite::ReplyGone { parent_us: 20, us: 26 },
        reaction(10, "tada", "U2", 9),
        reaction(10, "tada", "U1", 8),
        reaction(20, "wave", "U1", 7),
        reaction(30, "wave", "U1", 6),
        ViewWrite::ReactionGone { bucket: 3, us: 10, name: "tada".into(), user: user("U2") },
        ViewWrite::ReactionsGone { bucket: 3, us: 30 },
        member("U1", 4),
        member("U2", 5),
        member("U3", 6),
        member("U4", 7),
        ViewWrite::MemberGone { user: user("U3") },
        ViewWrite::Conversation { channel: conversation("C1"), row },
        ViewWrite::Redact { rows: vec![(1, 3), (3, 99)] },
    ]
}

/// Writes of a user's log.
pub fn views_of_a_user() -> Vec<ViewWrite> {
    let joined = |id: &str, seq| ViewWrite::Joined {
        channel: conversation(id),
        row: JoinedRow { seq, left: seq > 4, ..JoinedRow::default() },
    };
    let row = TokenRow { workspace: "T1".into(), user: "U1".into(), ..TokenRow::default() };
    let mark = MarkRow { us: 20, seq: 3, countable: 2, broadcast: 1 };
    vec![
        joined("C1", 4),
        joined("C2", 5),
        joined("C3", 6),
        ViewWrite::Mark { channel: conversation("C1"), row: mark },
        ViewWrite::Token { hash: "ab".into(), row },
    ]
}

/// Writes of a workspace's log.
pub fn views_of_a_workspace() -> Vec<ViewWrite> {
    let person =
        |id: &str| ViewWrite::User { user: user(id), row: UserRow { name: id.into(), ..Default::default() } };
    let place = |id: &str| ViewWrite::Conversation {
        channel: conversation(id),
        row: ConversationRow { name: id.into(), ..Default::default() },
    };
    let home = WorkspaceRow { name: "home".into(), ..WorkspaceRow::default() };
    let rows = [person("U1"), person("U2"), person("U3"), place("C2"), place("C3")];
    rows.into_iter().chain([ViewWrite::Workspace(home)]).collect()
}

/// Claims of two slots, the second of which was never owned.
pub fn claims() -> Vec<Claim> {
    let to = SlotRow { epoch: EPOCH, node: "n1".into(), boot: u64::MAX, cell: "a".into() };
    let claim =
        |slot, from_epoch| Claim { slot: Slot::new(slot).expect("a slot"), from_epoch, to: to.clone() };
    vec![claim(4095, 0), claim(4094, 1)]
}

fn said<T: Debug>(name: &'static str, answer: impl Future<Output = T>) -> Said {
    (name, format!("{:?}", answer.now_or_never().expect("nothing here waits")))
}

/// Every kind of write, and every outcome of one.
pub fn write(store: &(impl Store + Claims)) -> Vec<Said> {
    let first = append("C1", 0, 0, Vec::new());
    vec![
        said("append", store.append(first.clone())),
        said("append", store.append(first)),
        said("append", store.append(append("C1", 5, 1, Vec::new()))),
        said("append", store.append(Append { epoch: 1, ..append("C1", 1, 2, Vec::new()) })),
        said("append", store.append(append("C1", 1, 2, views_of_a_conversation()))),
        said("append", store.append(append("user:U1", 0, 0, views_of_a_user()))),
        said("append", store.append(append("ws:T1", 0, 0, views_of_a_workspace()))),
        said("claim", store.claim(claims())),
        said("retain_log", store.retain_log(&log("C1"), u64::MAX, 1)),
        said("retain_views", store.retain_views(&log("C1"), 15)),
    ]
}

/// Every kind of read, with arguments of which none can be taken for another.
pub fn read(store: &(impl Store + Claims)) -> Vec<Said> {
    let (here, who, log) = (workspace(), user("U1"), log("C1"));
    let range = MessageRange { from_us: 16, to_us: 29, newest_first: true, limit: 2 };
    let channels = vec![conversation("C9"), conversation("C1")];
    vec![
        said("head", store.head(&log)),
        said("log", store.log(&log, 1, 2)),
        said("keys", store.keys(&log, 1)),
        said("directory", store.directory(&log, 1)),
        said("active", store.active(Slot::new(4095).expect("a slot"), MINUTE)),
        said("last_active", store.last_active()),
        said("claims", Claims::read(store, 63)),
        said("messages", store.messages(&log, range)),
        said("thread", store.thread(&log, 20, range)),
        said("message", store.message(&log, 20)),
        said("reactions", store.reactions(&log, 16, 25)),
        said("reaction", store.reaction(&log, 20, "wave", &who)),
        said("member", store.member(&log, &who)),
        said("memberships", store.memberships(&here, &who, channels)),
        said("members", store.members(&log, Some(who.clone()), 1)),
        said("joined", store.joined(&here, &who, Some(conversation("C1")), 1)),
        said("marks", store.marks(&here, &who)),
        said("user", store.user(&here, &who)),
        said("conversation", store.conversation(&here, &conversation("C1"))),
        said("users", store.users(&here, None, 2)),
        said("conversations", store.conversations(&here, Some(conversation("C1")), 1)),
        said("workspaces", store.workspaces()),
        said("token", store.token("ab")),
    ]
}
