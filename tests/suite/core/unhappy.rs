//! Engines that take their time, refuse and fail: nobody waits for ever, and nothing is said that is not so.

use super::rig::{Rig, says, text_of, user_id};
use super::{acked, follow, post, unfollow};
use actors::command::Verb;
use actors::config::Config;
use actors::store::{Append, Appended, Store, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, poll_immediate, ready};
use proto::refusal::Refusal;
use proto::v1::client_frame::Frame as Ask;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{Content, Head, Ping};
use simulations::world::through::{Held, Hook, Order};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[test]
fn nothing_to_do_is_said_only_when_what_is_done_is_durable() {
    let held = Held::new(|_| true);
    Rig::run_behind(Rig::config(), &held, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        rig.posts("ann", &channel, "here").await;
        held.order(Order::Wait);
        let (mut joins, mut again) =
            (pin!(rig.does("bob", &channel, Verb::Join)), pin!(rig.does("bob", &channel, Verb::Join)));
        assert!(poll_immediate(joins.as_mut()).await.is_none());
        assert!(poll_immediate(again.as_mut()).await.is_none());
        rig.all_taken(&channel).await;
        assert!(poll_immediate(again.as_mut()).await.is_none(), "the join is not durable yet");
        held.order(Order::Fail);
        assert!(matches!(joins.await, Err(Refusal::Unavailable(_))));
        held.order(Order::Pass);
        match again.await {
            Ok(done) => assert!(done.seq > 0, "nobody had joined after all: it joins"),
            Err(refusal) => assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal}"),
        }
    });
}

#[test]
fn a_refusal_waits_for_what_it_rests_on() {
    let held = Held::new(|_| true);
    Rig::run_behind(Rig::config(), &held, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        held.order(Order::Wait);
        let mut leaves = pin!(rig.does("ann", &channel, Verb::Leave));
        let mut posts = pin!(rig.does("ann", &channel, says("hello")));
        assert!(poll_immediate(leaves.as_mut()).await.is_none());
        assert!(poll_immediate(posts.as_mut()).await.is_none());
        rig.all_taken(&channel).await;
        assert!(poll_immediate(posts.as_mut()).await.is_none(), "the leave is not durable yet");
        held.order(Order::Fail);
        assert!(matches!(leaves.await, Err(Refusal::Unavailable(_))));
        held.order(Order::Pass);
        match posts.await {
            Ok(done) => assert!(done.seq > 0, "nobody had left after all"),
            Err(refusal) => assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal}"),
        }
    });
}

/// A store that has the appends of conversations and, while it is told to, does not say so.
#[derive(Clone)]
struct Silent {
    silent: watch::Sender<bool>,
    messages: Arc<AtomicUsize>,
    logs: Arc<AtomicUsize>,
}

impl Silent {
    fn new() -> Self {
        Self { silent: watch::channel(false).0, messages: Arc::default(), logs: Arc::default() }
    }
}

impl Hook for Silent {
    fn read(&self, name: &'static str) {
        self.messages.fetch_add(usize::from(name == "message"), Relaxed);
        self.logs.fetch_add(usize::from(name == "log"), Relaxed);
    }
    fn append(
        &self,
        append: &Append,
        store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        let (appends, mut silent) = (store.append(append.clone()), self.silent.subscribe());
        async move {
            let appended = appends.await;
            silent.wait_for(|silent| !silent).await.expect("the test goes on");
            Some(appended)
        }
        .boxed()
    }
}

#[test]
fn a_row_that_may_know_more_than_memory_waits_for_the_batch_under_way_and_is_not_read_again() {
    let silent = Silent::new();
    Rig::run_behind(Rig::config(), &silent, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let old = rig.posts("ann", &channel, "old").await;
        rig.panic(&channel);
        rig.all_taken(&channel).await;
        silent.silent.send_replace(true);
        let mut posts = pin!(rig.does("ann", &channel, says("new")));
        assert!(poll_immediate(posts.as_mut()).await.is_none());
        rig.until("the store has it", async || rig.tail(&channel).await > old.seq).await;
        let react = Verb::React { target_us: old.us, name: "tada".into() };
        let mut reacts = pin!(rig.does("ann", &channel, react));
        assert!(poll_immediate(reacts.as_mut()).await.is_none());
        rig.until("the message is read", async || silent.messages.load(Relaxed) == 1).await;
        rig.all_taken(&channel).await;
        silent.silent.send_replace(false);
        assert_eq!((posts.await.unwrap().seq, reacts.await.unwrap().seq), (old.seq + 1, old.seq + 2));
        assert_eq!(silent.messages.load(Relaxed), 1);
    });
}

#[test]
fn a_replay_that_may_show_more_than_its_owner_knows_waits_for_the_batch_under_way() {
    let silent = Silent::new();
    Rig::run_behind(Config { channel_recent_max: 1, ..Rig::config() }, &silent, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let old = rig.posts("ann", &channel, "old").await;
        let before = silent.logs.load(Relaxed);
        silent.silent.send_replace(true);
        let mut posts = pin!(rig.does("ann", &channel, says("new")));
        assert!(poll_immediate(posts.as_mut()).await.is_none());
        rig.until("the store has it", async || rig.tail(&channel).await > old.seq).await;
        let log = rig.log(&channel);
        let mut replays = pin!(rig.context.router.read(&log, 0, 100));
        assert!(poll_immediate(replays.as_mut()).await.is_none());
        rig.until("the log is read", async || silent.logs.load(Relaxed) > before).await;
        rig.all_taken(&channel).await;
        assert!(
            poll_immediate(replays.as_mut()).await.is_none(),
            "the owner would be asked again and deny it"
        );
        silent.silent.send_replace(false);
        let (new, replay) = (posts.await.unwrap(), replays.await.unwrap());
        assert_eq!((replay.events.last().unwrap().event.seq, replay.tail), (new.seq, new.seq));
        assert_eq!(silent.logs.load(Relaxed), before + 1);
    });
}

/// A store whose appends can be held up, and whose reads of members fail for a while.
#[derive(Clone)]
struct Sick {
    held: Held,
    down: Arc<AtomicBool>,
}

impl Hook for Sick {
    fn append(
        &self,
        append: &Append,
        store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        self.held.append(append, store)
    }
    fn breaks(&self, name: &'static str) -> bool {
        name == "members" && self.down.load(Relaxed)
    }
}

#[test]
fn a_try_whose_answer_was_lost_is_never_said_to_be_not_applied() {
    let sick = Sick { held: Held::new(|_| true), down: Arc::default() };
    Rig::run_behind(Rig::config(), &sick, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        sick.held.order(Order::Wait);
        ann.say(post(&channel, "k", "hello")).await;
        rig.until("the first try is on its way to the store", async || sick.held.waiting() == 1).await;
        // Its answer is lost with the actor, and the second try finds a channel that cannot be loaded.
        sick.down.store(true, Relaxed);
        rig.panic(&channel);
        let Say::Refused(refused) = ann.answer().await else { panic!("nothing could be loaded") };
        assert_eq!((refused.state.as_str(), refused.code.as_str()), ("unknown", "internal_error"));
        // And indeed the first one lands.
        sick.held.order(Order::Pass);
        sick.down.store(false, Relaxed);
        acked(&mut ann, post(&channel, "k", "hello")).await;
        let events = rig.store.log(&rig.log(&channel), 0, 100).await.unwrap().events;
        let said: Vec<_> = events.iter().filter_map(text_of).filter(|text| text == "hello").collect();
        assert_eq!(said.len(), 1, "the same key finds out");
    });
}

/// A store that has forgotten all but the first event of each conversation, once it is told to.
#[derive(Clone, Default)]
struct Forgets(Arc<AtomicBool>);

impl Hook for Forgets {
    fn append(
        &self,
        append: &Append,
        _store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        let forgets = self.0.load(Relaxed) && append.log.channel.conversation().is_some();
        let head = Head { tail: 1, epoch: append.epoch, last_us: 1, ..Head::default() };
        ready(forgets.then_some(Ok(Appended::Refused(Some(head))))).boxed()
    }
}

#[test]
fn a_log_that_lost_what_was_acknowledged_is_not_gone_on_with() {
    let forgets = Forgets::default();
    Rig::run_behind(Rig::config(), &forgets, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let other = rig.channel("other", &["ann"]).await;
        rig.posts("ann", &channel, "acknowledged").await;
        forgets.0.store(true, Relaxed);
        let refused = rig.does("ann", &channel, says("in its place")).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{refused:?}");
        forgets.0.store(false, Relaxed);
        let refused = rig.does("ann", &channel, says("in its place")).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(_))), "{refused:?}");
        let read = rig.context.router.read(&rig.log(&channel), 0, 10).await;
        assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
        rig.posts("ann", &other, "elsewhere").await;
    });
}

/// Breaks one call of this name.
#[derive(Clone, Default)]
struct Breaks(Arc<Mutex<Option<&'static str>>>);

impl Hook for Breaks {
    fn breaks(&self, name: &'static str) -> bool {
        self.0.lock().unwrap().take_if(|breaks| *breaks == name).is_some()
    }
}

#[test]
fn a_read_that_panics_is_an_error_for_who_waits_and_nobody_else() {
    let breaks = Breaks::default();
    Rig::run_behind(Rig::config(), &breaks, async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let posted = rig.posts("ann", &channel, "here").await;
        *breaks.0.lock().unwrap() = Some("message");
        // The rows leave memory with the actor.
        rig.panic(&channel);
        let content = Content { text: "edited".into(), ..Content::default() };
        let edit = || Verb::Edit { target_us: posted.us, content: content.clone() };
        let failed = rig.does("ann", &channel, edit()).await;
        assert!(matches!(failed, Err(Refusal::Unavailable(_) | Refusal::Unknown)), "{failed:?}");
        assert_eq!(rig.does("ann", &channel, edit()).await.unwrap().seq, posted.seq + 1);
    });
}

#[test]
fn a_channel_whose_loading_panics_loads_again() {
    let breaks = Breaks::default();
    Rig::run_behind(Rig::config(), &breaks, async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let posted = rig.posts("ann", &channel, "here").await;
        *breaks.0.lock().unwrap() = Some("members");
        rig.panic(&channel);
        let first = rig.does("ann", &channel, says("there")).await;
        assert!(matches!(first, Ok(_) | Err(Refusal::Unavailable(_) | Refusal::Unknown)), "{first:?}");
        assert_eq!(*breaks.0.lock().unwrap(), None, "a load was broken");
        let next = posted.seq + 1 + u64::from(first.is_ok());
        assert_eq!(rig.posts("ann", &channel, "there").await.seq, next);
    });
}

/// A store that finds each log damaged that it reads, while it is told to.
#[derive(Clone, Default)]
struct Rotten {
    rotten: Arc<AtomicBool>,
    found: Arc<AtomicUsize>,
}

impl Hook for Rotten {
    fn delay(&self, name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        (name == "log" && self.rotten.load(Relaxed)).then(|| {
            self.found.fetch_add(1, Relaxed);
            ready(Err(StoreError::Damaged("by order".into()))).boxed()
        })
    }
}

#[test]
fn a_conversation_that_cannot_be_loaded_keeps_its_members_out_of_no_other() {
    let rotten = Rotten::default();
    Rig::run_behind(Rig::config(), &rotten, async |rig| {
        let torn = rig.channel("torn", &["ann", "bob"]).await;
        let whole = rig.channel("whole", &["ann", "bob"]).await;
        // Not by a connection, which would be listening to both for a moment after its end.
        let joined = async || rig.store.joined(&rig.workspace, &user_id("bob"), None, 10).await.unwrap().rows;
        rig.until("bob's own log knows of both", async || joined().await.len() == 2).await;
        rotten.rotten.store(true, Relaxed);
        rig.panic(&torn);
        let mut bob = rig.welcomed("bob", &[(&torn, 1), (&whole, 1)]).await;
        assert_eq!((bob.follows(&torn), bob.follows(&whole)), (false, true));
        let posted = rig.posts("ann", &whole, "heard").await;
        bob.events(&whole, posted.seq).await;
    });
}

#[test]
fn a_conversation_whose_past_cannot_be_read_is_left_and_the_connection_goes_on() {
    let rotten = Rotten::default();
    Rig::run_behind(Config { channel_recent_max: 4, ..Rig::config() }, &rotten, async |rig| {
        let torn = rig.channel("torn", &["ann", "bob"]).await;
        let whole = rig.channel("whole", &["ann", "bob"]).await;
        let mut bob = rig.connect("bob", &[]).await;
        bob.say(unfollow(&torn)).await;
        for _ in 0..20 {
            rig.posts("ann", &torn, "beyond what is kept in memory").await;
        }
        rotten.rotten.store(true, Relaxed);
        let followed = bob.ask(follow(&torn, 1)).await;
        assert!(matches!(followed, Say::Following(_)), "{followed:?}");
        rig.until("it is read", async || rotten.found.load(Relaxed) > 0).await;
        // The session hears of it a moment later, and lives.
        for _ in 0..50 {
            rig.context.host.sleep(Duration::from_millis(1)).await;
            bob.ask(Ask::Ping(Ping::default())).await;
        }
        rig.posts("ann", &torn, "not heard").await;
        let posted = rig.posts("ann", &whole, "heard").await;
        bob.events(&whole, posted.seq).await;
        assert!(bob.heard(&torn).iter().all(|event| event.seq == 1), "{:?}", bob.heard(&torn));
    });
}
