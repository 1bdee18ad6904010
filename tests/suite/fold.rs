//! A page of history equals the fold of the log, and costs at most two reads of the store: random histories through
//! a real node, compared with a fold that shares no code with it.

mod history;
mod naive;

use crate::core::rig::{Rig, user_id};
use actors::admin;
use actors::api::{self, Args, Request};
use actors::command::{Command, Verb};
use actors::config::Config;
use actors::store::memory::MemoryStore;
use actors::store::{LogId, MessageRange, REACTION_USERS_MAX, Store};
use cells::storage::{RedbStore, StorageConfig};
use cluster::claims::Claims;
use cluster::host::{Entropy, Host};
use history::History;
use naive::Naive;
use proto::ts::{self, Micros};
use proto::v1::event::Body;
use proto::v1::{Content, Event, MessageRow};
use serde_json::{Value, json};
use simulations::world::through::{Hook, Through};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tests::harness::Scratch;

/// People in a random history: fewer than a thread's summary names.
const CROWD: usize = 14;
/// Small, so that rows leave memory and are read again all the time.
const ROWS_MAX: usize = 24;

fn config() -> Config {
    Config { channel_rows_max: ROWS_MAX, message_edits_max: 5, channel_recent_max: 50, ..Rig::config() }
}

/// A random history of at least this many events, then everything compared.
fn check<S: Store + Claims>(seed: u64, events: usize, open: impl FnOnce(&Host) -> S) {
    Rig::run_on(config(), open, async |rig| {
        println!("seed {seed}");
        let mut history = History::begin(rig, seed, CROWD).await;
        let log = history.log().clone();
        while rig.store.head(&log).await.unwrap().is_none_or(|(_, head)| head.tail < events as u64) {
            history.burst(24).await;
        }
        let chance = Entropy::from_u64(seed).fork("pages");
        let events = whole_log(rig, &log, &chance).await;
        let naive = Naive::of(&events);
        contents_are_said_or_redacted(&events, &naive, &history);
        compare_messages(rig, &log, &naive, &chance).await;
        compare_threads(rig, &log, &naive, &chance).await;
        compare_single_rows(rig, &log, &naive, &events).await;
        compare_members(rig, &log, &naive, &chance).await;
        compare_joined(rig, &log, &naive, &history).await;
        assert!(history.refused.len() > 5, "the crowd is refused now and then: {:?}", history.refused);
    });
}

async fn whole_log(rig: &Rig, log: &LogId, chance: &Entropy) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event.seq);
        let page = rig.store.log(log, after, 1 + chance.below(700) as usize).await.unwrap();
        if page.events.is_empty() {
            assert_eq!(page.tail, after);
            return events;
        }
        events.extend(page.events);
    }
}

/// Every content in the log is what was said, or redacted if its message is gone.
fn contents_are_said_or_redacted(events: &[Event], naive: &Naive, history: &History<'_>) {
    let mut contents = 0;
    for event in events {
        let content = match &event.body {
            Some(Body::Posted(posted)) => posted.content.clone().unwrap_or_default(),
            Some(Body::Edited(edited)) => edited.content.clone().unwrap_or_default(),
            _ => continue,
        };
        contents += 1;
        if naive.redacted.contains(&event.seq) {
            assert_eq!(content, Content { redacted: true, ..Content::default() }, "at {}", event.seq);
        } else {
            assert_eq!(Some(&content.text), history.said.get(&event.seq), "at {}", event.seq);
        }
    }
    assert_eq!(contents, history.said.len(), "what was acknowledged is in the log, and nothing else");
    assert!(naive.redacted.len() > 10, "deletions were part of the history");
}

fn range(bounds: (Micros, Micros), newest_first: bool, limit: usize) -> MessageRange {
    MessageRange { from_us: bounds.0, to_us: bounds.1, newest_first, limit }
}

/// The rest of the bounds after a page.
fn rest(bounds: (Micros, Micros), newest_first: bool, last: Micros) -> (Micros, Micros) {
    if newest_first { (bounds.0, last - 1) } else { (last + 1, bounds.1) }
}

/// As the naive fold has it: the order in which a summary names its users is not part of the comparison.
fn comparable(mut row: MessageRow) -> MessageRow {
    row.reply_users.sort_by(|a, b| a.user.cmp(&b.user));
    row
}

async fn compare_messages(rig: &Rig, log: &LogId, naive: &Naive, chance: &Entropy) {
    let shown = naive.shown();
    let (first, last) = (shown[0].us, shown[shown.len() - 1].us);
    for round in 0..8 {
        let some = || shown[chance.below(shown.len() as u64) as usize].us;
        let bounds = if round < 2 { (0, Micros::MAX) } else { (some().min(last), some().max(first)) };
        let newest_first = round % 2 == 0;
        let mut expected: Vec<_> =
            shown.iter().filter(|row| (bounds.0..=bounds.1).contains(&row.us)).cloned().collect();
        if newest_first {
            expected.reverse();
        }
        let (mut found, mut left) = (Vec::new(), bounds);
        loop {
            let limit = 1 + chance.below(60) as usize;
            let page = rig.store.messages(log, range(left, newest_first, limit)).await.unwrap();
            assert!(page.len() <= limit);
            let Some(end) = page.last() else { break };
            left = rest(left, newest_first, end.us);
            compare_reactions(rig, log, naive, &page).await;
            found.extend(page.into_iter().map(comparable));
        }
        assert_eq!(found, expected, "between {bounds:?}, newest first: {newest_first}");
    }
}

/// The second read of a page.
async fn compare_reactions(rig: &Rig, log: &LogId, naive: &Naive, page: &[MessageRow]) {
    let times = || page.iter().map(|row| row.us);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    let counts = rig.store.reactions(log, first, last).await.unwrap();
    for row in page {
        let found: BTreeMap<_, _> = counts
            .iter()
            .filter(|count| count.us == row.us)
            .map(|count| (count.name.clone(), (count.count as usize, count.users.clone())))
            .collect();
        let counted = |(name, mut users): (String, Vec<_>)| {
            let count = users.len();
            users.truncate(REACTION_USERS_MAX);
            (name, (count, users))
        };
        let expected: BTreeMap<_, _> = naive.reactions(row.us).into_iter().map(counted).collect();
        assert_eq!(found, expected, "reactions to {}", row.us);
    }
}

async fn compare_threads(rig: &Rig, log: &LogId, naive: &Naive, chance: &Entropy) {
    let mut all = 0;
    for parent_us in naive.parents() {
        let replies = naive.thread(parent_us);
        all += replies.len();
        for newest_first in [false, true] {
            let (mut found, mut left) = (Vec::new(), (0, Micros::MAX));
            loop {
                let limit = 1 + chance.below(5) as usize;
                let page = rig.store.thread(log, parent_us, range(left, newest_first, limit)).await.unwrap();
                let Some(end) = page.last() else { break };
                left = rest(left, newest_first, end.us);
                compare_reactions(rig, log, naive, &page).await;
                found.extend(page.into_iter().map(comparable));
            }
            if newest_first {
                found.reverse();
            }
            assert_eq!(found, replies, "thread {parent_us}");
        }
    }
    assert!(all > 20, "threads were part of the history");
}

/// Every message that ever was, by its time: as it is, or gone.
async fn compare_single_rows(rig: &Rig, log: &LogId, naive: &Naive, events: &[Event]) {
    let mut gone = 0;
    for event in events {
        let found = rig.store.message(log, event.us).await.unwrap().map(comparable);
        let expected = naive.message(event.us);
        gone += usize::from(expected.is_none());
        assert_eq!(found, expected, "message {}", event.us);
    }
    assert!(gone > 10, "most events make no message, and some messages are gone");
}

async fn compare_members(rig: &Rig, log: &LogId, naive: &Naive, chance: &Entropy) {
    let mut found = BTreeMap::new();
    loop {
        let after = found.keys().last().cloned();
        let page = rig.store.members(log, after, 1 + chance.below(4) as usize).await.unwrap();
        found.extend(page.rows);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, naive.members);
    let channel = log.channel.conversation().unwrap();
    let mut row = rig.store.conversation(&log.workspace, channel).await.unwrap().unwrap();
    assert_eq!(row.members as usize, naive.members.len());
    row.members = 0;
    row.creator.clear();
    row.created_us = 0;
    assert_eq!(row, naive.row);
}

/// The members' own logs follow: as soon as they have, they say the same.
async fn compare_joined(rig: &Rig, log: &LogId, naive: &Naive, history: &History<'_>) {
    let channel = log.channel.conversation().unwrap();
    for user in history.people() {
        let expected = naive.moves.get(user).copied();
        rig.until(&format!("{user} knows {expected:?}"), async || {
            let rows = rig.store.joined(&rig.workspace, user, None, 100).await.unwrap().rows;
            let row = rows.into_iter().find(|(joined, _)| joined == channel).map(|(_, row)| row);
            row.map(|row| (row.seq, row.left.then_some(row.left_seq))) == expected
        })
        .await;
    }
}

#[test]
fn pages_equal_the_fold_of_the_log_over_the_reference_store() {
    for seed in 10..22 {
        check(seed, 1200, |_| MemoryStore::new());
    }
}

#[test]
fn pages_equal_the_fold_of_the_log_across_buckets() {
    check(5, 4400, |_| MemoryStore::new());
}

#[test]
fn pages_equal_the_fold_of_the_log_over_the_embedded_store() {
    for seed in 6..=9 {
        let folder = Scratch::new().unwrap();
        check(seed, 1000, |host| embedded(host, &folder));
    }
}

fn embedded(host: &Host, folder: &Scratch) -> RedbStore {
    RedbStore::open_file(host.clone(), &folder.path().join("store.redb"), StorageConfig::default()).unwrap()
}

#[test]
fn a_page_is_two_reads_also_after_five_thousand_reactions_on_one_message() {
    reads_of_a_page(|_| MemoryStore::new());
}

#[test]
fn a_page_of_the_embedded_store_is_two_reads_also_after_five_thousand_reactions() {
    let folder = Scratch::new().unwrap();
    reads_of_a_page(|host| embedded(host, &folder));
}

/// Reads of the store by name.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Counts {
    /// What was read since the last time.
    fn take(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Hook for Counts {
    fn read(&self, name: &'static str) {
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }
}

/// 100 people react to one message with 50 emoji each; pages around it are read before and after.
fn reads_of_a_page<S: Store + Claims>(open: impl FnOnce(&Host) -> S) {
    let counts = Counts::default();
    Rig::run_on(
        Rig::config(),
        |host| Through::new(open(host), counts.clone()),
        async |rig| {
            let crowd: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
            let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
            rig.found(&rig.workspace, &crowd).await;
            let channel = rig.channel("general", &crowd).await;
            let log = rig.log(&channel);
            let mut posts = Vec::new();
            for number in 0..30 {
                posts.push(post(rig, &log, "p0", &format!("m{number}"), 0).await);
            }
            for number in 0..30 {
                post(rig, &log, "p1", &format!("r{number}"), posts[7]).await;
            }
            let token = token(rig, "p1").await;
            counts.take();
            let before = page(rig, &token, &channel, &counts).await;
            let emoji: Vec<String> = (0..50).map(|number| format!("emoji{number}")).collect();
            for name in &emoji {
                let react = crowd.iter().map(|user| {
                    let verb = Verb::React { target_us: posts[7], name: name.clone() };
                    rig.context.execute(log.clone(), Command::by(&user_id(user), verb))
                });
                futures::future::try_join_all(react).await.unwrap();
            }
            counts.take();
            let after = page(rig, &token, &channel, &counts).await;
            assert_eq!(before.as_array().unwrap().len(), after.as_array().unwrap().len());
            let liked = after.as_array().unwrap().iter().find(|m| m["ts"] == ts::format(posts[7])).unwrap();
            let reactions = liked["reactions"].as_array().unwrap();
            assert_eq!(reactions.len(), 50);
            assert!(reactions.iter().all(|reaction| reaction["count"] == 100));
            let rows = rig.store.messages(&log, range((0, Micros::MAX), true, 1000)).await.unwrap();
            assert_eq!(rows.len(), 30, "a reaction rewrites no message and makes none");
        },
    );
}

async fn post(rig: &Rig, log: &LogId, user: &str, text: &str, thread_us: Micros) -> Micros {
    let verb = Verb::Post {
        content: Content { text: text.into(), ..Content::default() },
        thread_us,
        reply_broadcast: false,
        client_msg_id: String::new(),
    };
    rig.context.execute(log.clone(), Command::by(&user_id(user), verb)).await.unwrap().us
}

async fn token(rig: &Rig, user: &str) -> String {
    let args = json!({ "workspace": rig.workspace.as_str(), "user": user_id(user).as_str() });
    let made = admin::run(&rig.context, "token.create", &args).await.unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// Pages of history and of the thread through the Web API; asserts what each reads of what is said. Reads that ask
/// who may read (the token, the conversation, the membership) are not the page's.
async fn page(rig: &Rig, token: &str, channel: &str, counts: &Counts) -> Value {
    let mut messages = Value::Null;
    let thread_ts = rig.store.log(&rig.log(channel), 0, 1000).await.unwrap().events[8].us;
    let history = json!({ "channel": channel, "limit": 100 });
    let replies = json!({ "channel": channel, "limit": 100, "ts": ts::format(thread_ts) });
    // A call of `replies` looks its parent up, which its page begins with.
    for (method, args, most) in [("conversations.replies", replies, 3), ("conversations.history", history, 2)]
    {
        counts.take();
        let args: Args = args.as_object().unwrap().clone().into_iter().collect();
        let bearer = Some(token.to_owned());
        let request = Request { method: method.into(), args, bearer, request_id: "r".into() };
        let answer: Value = serde_json::from_slice(&api::call(&rig.context, request).await.body).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        let asked = ["token", "user", "conversation", "member", "workspaces"];
        let mut reads = counts.take();
        reads.retain(|name, _| !asked.contains(name));
        assert!(reads.values().sum::<usize>() <= most, "{method} read {reads:?}");
        messages = answer["messages"].clone();
    }
    messages
}
