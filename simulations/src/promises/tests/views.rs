//! Views as the product makes them of a good day's logs, in the reference store, each of them bent once.

use super::{
    Case, Violation, case,
    day::{C1, Day, U2, WS},
};
use crate::{oracle::Logs, promises::views, stage::tenant::Tenant};
use actors::{
    conversation::{Conversation, Limits},
    inbox::Inbox,
    roster::Roster,
    store::{Append, Appended, BatchId, LogId, Store, ViewWrite, memory::MemoryStore},
    subject::Subject,
};
use cluster::{host::Entropy, slots::Slot};
use futures::future::FutureExt;
use proto::{
    id::{ChannelId, ConversationId, UserId, WorkspaceId},
    v1::{Event, JoinedRow, UserRow},
};
use std::collections::{BTreeMap, BTreeSet};

pub const CASES: &[Case] = &[
    case(&views::PROMISE, "a member is missing", |day| {
        bent(day, C1, ViewWrite::MemberGone { user: user("U2") })
    }),
    case(&views::PROMISE, "a conversation is one's own that one never joined", |day| {
        let channel = ConversationId::parse("C9").expect("a legal id");
        bent(day, U2, ViewWrite::Joined { channel, row: JoinedRow::default() })
    }),
    case(&views::PROMISE, "a user has another name", |day| {
        bent(day, WS, ViewWrite::User { user: user("U1"), row: UserRow::default() })
    }),
    case(&views::PROMISE, "a log has an event that nobody could have written", |day| {
        let store = kept(day, None);
        day.event(C1, 9).sender = "U9".into();
        judged(&store, &day.logs())
    }),
];

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a legal id")
}

fn workspace() -> WorkspaceId {
    WorkspaceId::parse("T1").expect("a legal id")
}

/// The reference store answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("nothing to wait for")
}

fn subject(store: &MemoryStore, channel: &ChannelId) -> Subject {
    let limits = Limits { text_chars_max: 99, json_bytes_max: 99, message_edits_max: 9, rows_max: 99 };
    match channel {
        ChannelId::Conversation(id) => {
            let row = now(store.conversation(&workspace(), id)).expect("it answers");
            Subject::Conversation(Box::new(Conversation::new(
                id.clone(),
                false,
                row,
                BTreeSet::new(),
                limits,
            )))
        }
        ChannelId::User(user) => {
            Subject::User(Box::new(Inbox::new(workspace(), user.clone(), BTreeMap::new(), BTreeMap::new())))
        }
        ChannelId::Workspace(_) => Subject::Workspace(Box::<Roster>::default()),
    }
}

fn keep(store: &MemoryStore, name: &str, events: &[Event], bent: Option<ViewWrite>) {
    let channel = name.split_once('/').expect("a name of a log").1;
    let log = LogId::new(workspace(), ChannelId::parse(channel).expect("a legal id"));
    let mut subject = subject(store, &log.channel);
    let views = events.iter().flat_map(|event| subject.apply(event).views).chain(bent).collect();
    let (slot, batch) = (Slot::new(1).expect("a slot"), BatchId([7; 16]));
    let (events, followed) = (events.to_vec(), events.len() as u64);
    let append = Append { log, slot, bucket: 0, tail: 0, epoch: 1, batch, followed, events, views };
    assert_eq!(now(store.append(append)), Ok(Appended::Applied));
}

/// The logs with their views; what the workspace says of its conversations comes first.
fn kept(day: &Day, bent: Option<(&str, ViewWrite)>) -> MemoryStore {
    let (store, logs) = (MemoryStore::new(), day.logs());
    let others = logs.iter().filter(|(name, _)| *name != WS);
    for (name, events) in [(WS, logs.of(WS))].into_iter().chain(others) {
        let bent = bent.iter().find(|(log, _)| *log == name).map(|(_, view)| view.clone());
        keep(&store, name, events, bent);
    }
    store
}

fn judged(store: &MemoryStore, logs: &Logs) -> Result<(), Violation> {
    let tenant = Tenant { number: 1, workspace: workspace(), people: Vec::new(), channels: Vec::new() };
    now(views::judge(store, &tenant, logs, &Entropy::from_u64(7)))
}

fn bent(day: &Day, log: &str, view: ViewWrite) -> Result<(), Violation> {
    judged(&kept(day, Some((log, view))), &day.logs())
}

#[test]
fn the_products_views_of_a_good_day_are_praised() {
    let day = Day::good();
    assert_eq!(judged(&kept(&day, None), &day.logs()), Ok(()));
}

#[test]
fn logs_of_another_workspace_are_none_of_a_tenants_business() {
    let day = Day::good();
    let (store, mut logs) = (kept(&day, None), day.logs());
    logs.add("T10/C1", vec![Event::default()]);
    assert_eq!(judged(&store, &logs), Ok(()));
}
