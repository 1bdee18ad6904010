//! Tries whose answer was lost: a later one that is not let in does not say that nothing was done.

use super::rig::{Bomb, Rig, says, user_id};
use actors::channel::audience::GatewaySink;
use actors::command::{Command, Verb};
use actors::config::Config;
use actors::router::Router;
use actors::store::memory::MemoryStore;
use actors::store::{Append, Appended, LogId, Store, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, Either, join_all, pending, poll_immediate, select};
use proto::refusal::Refusal;
use simulations::world::through::{Held, Hook, Order, Through};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tokio::sync::mpsc;

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
    Rig::run_on(
        config,
        |_| Through::new(MemoryStore::new(), stuck.clone()),
        async |rig| {
            let channel = rig.channel("general", &["ann"]).await;
            rig.posts("ann", &channel, "here").await;
            let (log, router) = (rig.log(&channel), &rig.context.router);
            stuck.held.order(Order::Wait);
            // The answer to the first panics, and the second one's is lost with the actor.
            let bomb = router.keyed(Command::by(&user_id("ann"), says("bomb")));
            router.submit(&log, bomb, Box::new(Bomb));
            let mut said = pin!(rig.does("ann", &channel, says("hello")));
            assert!(poll_immediate(said.as_mut()).await.is_none());
            // Commands are taken in turn: those two are with the actor when this one is answered.
            let nothing = Verb::React { target_us: 1, name: "tada".into() };
            rig.does("ann", &channel, nothing).await.unwrap_err();
            stuck.hangs.store(true, Relaxed);
            let (relay, _kept) = mpsc::channel(1);
            let sink = GatewaySink::new("nobody", relay);
            let neighbours = neighbours(rig, &log, PLACES + 2);
            let mut crowd = pin!(join_all(neighbours.iter().map(|log| router.subscribe(log, &sink))));
            assert!(poll_immediate(crowd.as_mut()).await.is_none());
            stuck.held.order(Order::Fail);
            let Either::Left((refused, _)) = select(said, crowd).await else { panic!("the crowd hangs") };
            assert_eq!(refused.unwrap_err(), Refusal::Unknown);
        },
    );
}

/// Logs of the same slot.
fn neighbours(rig: &Rig, log: &LogId, count: usize) -> Vec<LogId> {
    let minted = std::iter::repeat_with(|| rig.log(&rig.context.mint('C')));
    minted.filter(|other| Router::slot(other) == Router::slot(log)).take(count).collect()
}
