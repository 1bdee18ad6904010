//! A page of history equals the fold of the log, and costs at most two reads of the store: random histories through
//! a real node, compared with a fold that shares no code with it.

mod history;

use crate::core::rig::{Rig, user_id};
use actors::admin;
use actors::api::{self, Args, Request};
use actors::command::{Command, Verb};
use actors::config::Config;
use actors::context::Context;
use actors::marks;
use actors::scopes::Scopes;
use actors::store::memory::MemoryStore;
use actors::store::{LogId, MessageRange, Store};
use actors::tickets::Login;
use cells::storage::{RedbStore, StorageConfig};
use cluster::claims::Claims;
use cluster::host::{Entropy, Host};
use history::History;
use proto::ts::{self, Micros};
use proto::v1::event::Body;
use proto::v1::{Content, Event, TokenKind};
use serde_json::{Value, json};
use simulations::fold::compare::{self, Effort};
use simulations::fold::{Fold, Inbox, Roster};
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
        let fold = Fold::of(&events).unwrap();
        contents_are_said_or_redacted(&events, &fold, &history);
        everything_was_part_of_it(&fold);
        compare::conversation(&*rig.store, &log, &fold, &chance, Effort::Exhaustive).await.unwrap();
        own_logs_follow(rig, &log, &fold, &history).await;
        compare_workspace(rig).await;
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
fn contents_are_said_or_redacted(events: &[Event], fold: &Fold, history: &History<'_>) {
    fold.redactions(events).unwrap();
    let mut contents = 0;
    for event in events {
        let content = match &event.body {
            Some(Body::Posted(posted)) => posted.content.clone().unwrap_or_default(),
            Some(Body::Edited(edited)) => edited.content.clone().unwrap_or_default(),
            _ => continue,
        };
        contents += 1;
        if !fold.redacted.contains(&event.seq) {
            assert_eq!(Some(&content.text), history.said.get(&event.seq), "at {}", event.seq);
        }
    }
    assert_eq!(contents, history.said.len(), "what was acknowledged is in the log, and nothing else");
    assert!(fold.redacted.len() > 10, "deletions were part of the history");
}

/// A comparison of nothing would find nothing.
fn everything_was_part_of_it(fold: &Fold) {
    let replies: usize = fold.parents().map(|parent_us| fold.thread(parent_us).len()).sum();
    assert!(replies > 20, "threads were part of the history");
    let gone = fold.times().iter().filter(|us| fold.message(**us).is_none()).count();
    assert!(gone > 10, "most events make no message, and some messages are gone");
}

/// The members' own logs follow: as soon as they have, they say the same.
async fn own_logs_follow(rig: &Rig, log: &LogId, fold: &Fold, history: &History<'_>) {
    let channel = log.channel.conversation().unwrap();
    let chance = Entropy::from_u64(fold.tail());
    rig.until("everybody's own log knows the last membership", async || {
        compare::joined(&*rig.store, log, fold).await.is_ok()
    })
    .await;
    for user in fold.members.keys() {
        let shown = fold.shown();
        let us = shown[chance.below(shown.len() as u64) as usize].us;
        let login = Login {
            workspace: rig.workspace.clone(),
            user: user.clone(),
            token_hash: String::new(),
            scopes: Scopes::usual(TokenKind::User),
            bot_id: String::new(),
            app_id: String::new(),
        };
        marks::mark(&rig.context, &login, channel, String::new(), us).await.unwrap();
    }
    for user in history.people() {
        let own = Context::user(&rig.workspace, user);
        let inbox = Inbox::of(&whole_log(rig, &own, &chance).await).unwrap();
        assert_eq!(inbox.joined.contains_key(channel), fold.moves.contains_key(user), "{user}");
        compare::inbox(&*rig.store, &rig.workspace, user, &inbox).await.unwrap();
        compare::unread(&*rig.store, log, user, fold).await.unwrap();
    }
}

/// What the workspace's log says, and soon the names of its conversations.
async fn compare_workspace(rig: &Rig) {
    let log = Context::workspace(&rig.workspace);
    let roster = Roster::of(&whole_log(rig, &log, &Entropy::from_u64(1)).await).unwrap();
    compare::roster(&*rig.store, &rig.workspace, &roster).await.unwrap();
    rig.until("every conversation has its name", async || {
        compare::names(&*rig.store, &rig.workspace, &roster).await.is_ok()
    })
    .await;
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
            let rows = rig
                .store
                .messages(
                    &log,
                    MessageRange { from_us: 0, to_us: Micros::MAX, newest_first: true, limit: 1000 },
                )
                .await
                .unwrap();
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
