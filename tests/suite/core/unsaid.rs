//! Tries whose answer was lost: a later one that is not let in does not say that nothing was done.

use super::post;
use super::rig::{Bomb, Rig, says, text_of, user_id};
use actors::channel::audience::GatewaySink;
use actors::command::Command;
use actors::config::Config;
use actors::router::Router;
use actors::store::{Append, Appended, LogId, Store, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, join_all, pending, poll_immediate, ready, select};
use proto::refusal::Refusal;
use proto::v1::server_frame::Frame as Say;
use simulations::world::through::{Held, Hook, Order};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::{mpsc, oneshot};

/// Messages that may wait in a slot.
const PLACES: usize = 8;

/// A store whose appends can be held up, and whose heads are not found for a while.
#[derive(Clone)]
struct Stuck {
    held: Held,
    hangs: Arc<AtomicBool>,
}

impl Hook for Stuck {
    fn append(
        &self,
        append: &Append,
        store: &Arc<dyn Store>,
    ) -> BoxFuture<'static, Option<Result<Appended, StoreError>>> {
        self.held.append(append, store)
    }
    fn delay(&self, name: &'static str) -> Option<BoxFuture<'static, Result<(), StoreError>>> {
        (name == "head" && self.hangs.load(Relaxed)).then(|| pending().boxed())
    }
}

#[test]
fn a_second_try_that_finds_no_room_is_not_said_to_be_not_applied() {
    let held = Held::new(|log| log.channel.conversation().is_some());
    let stuck = Stuck { held, hangs: Arc::default() };
    let config = Config { slot_pending_max: PLACES, ..Rig::config() };
    Rig::run_behind(config, &stuck, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        rig.posts("ann", &channel, "here").await;
        let (log, router) = (rig.log(&channel), &rig.context.router);
        stuck.held.order(Order::Wait);
        // The answer to the first panics, and the second one's is lost with the actor.
        let bomb = router.keyed(Command::by(&user_id("ann"), says("bomb")));
        router.submit(&log, bomb, Box::new(Bomb));
        let mut said = pin!(rig.does("ann", &channel, says("hello")));
        assert!(poll_immediate(said.as_mut()).await.is_none());
        rig.all_taken(&channel).await;
        stuck.hangs.store(true, Relaxed);
        let (relay, _kept) = mpsc::channel(1);
        let sink = GatewaySink::new("nobody", relay);
        let neighbours = neighbours(rig, &log, PLACES + 2);
        let mut crowd = pin!(join_all(neighbours.iter().map(|log| router.subscribe(log, &sink))));
        assert!(poll_immediate(crowd.as_mut()).await.is_none());
        stuck.held.order(Order::Fail);
        let Either::Left((refused, _)) = select(said, crowd).await else { panic!("the crowd hangs") };
        assert_eq!(refused.unwrap_err(), Refusal::Unknown);
    });
}

/// Logs of the same slot.
fn neighbours(rig: &Rig, log: &LogId, count: usize) -> Vec<LogId> {
    let minted = std::iter::repeat_with(|| rig.log(&rig.context.mint('C')));
    minted.filter(|other| Router::slot(other) == Router::slot(log)).take(count).collect()
}

/// A store that takes an append and lets its appender's task die of the answer; then no log can be loaded.
#[derive(Clone, Default)]
struct Torn {
    tears: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
}

impl Hook for Torn {
    fn appended(
        &self,
        append: &Append,
        _store: &Arc<dyn Store>,
        answer: Result<Appended, StoreError>,
    ) -> BoxFuture<'static, Result<Appended, StoreError>> {
        if append.log.channel.conversation().is_some() && self.tears.swap(false, Relaxed) {
            self.down.store(true, Relaxed);
            return async { panic!("asked to panic, as a defect would") }.boxed();
        }
        ready(answer).boxed()
    }
    fn breaks(&self, name: &'static str) -> bool {
        name == "members" && self.down.load(Relaxed)
    }
}

#[test]
fn an_append_of_which_nothing_was_heard_is_not_said_to_be_not_applied_when_the_log_cannot_be_read() {
    let torn = Torn::default();
    Rig::run_behind(Rig::config(), &torn, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        rig.posts("ann", &channel, "here").await;
        let hello = || Command::by(&user_id("ann"), says("hello")).keyed("k");
        torn.tears.store(true, Relaxed);
        let refused = rig.context.execute(rig.log(&channel), hello()).await.unwrap_err();
        assert_eq!(refused, Refusal::Unknown);
        torn.down.store(false, Relaxed);
        let found = async || rig.context.execute(rig.log(&channel), hello()).await;
        rig.until("the log can be read", async || found().await.is_ok()).await;
        assert!(found().await.unwrap().retried, "it was applied");
        let events = rig.store.log(&rig.log(&channel), 0, 100).await.unwrap().events;
        assert_eq!(events.iter().filter_map(text_of).filter(|text| text == "hello").count(), 1);
    });
}

#[test]
fn a_command_that_a_channel_took_to_its_grave_is_sent_again() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let (log, router) = (rig.log(&channel), &rig.context.router);
        for round in 0..20 {
            // The channel is busy when it gets what it dies of, and the post behind it is lost unseen.
            for _ in 0..100 {
                let busy = router.keyed(Command::by(&user_id("ann"), says("busy")));
                router.submit(&log, busy, Box::new(oneshot::channel().0));
            }
            let deadly = router.keyed(Command::by(&user_id("nobody"), says("")));
            router.submit(&log, deadly, Box::new(Bomb));
            let answer = ann.ask(post(&channel, &format!("k{round}"), "here")).await;
            assert!(matches!(answer, Say::Ack(_)), "in round {round} {answer:?}");
        }
    });
}
