//! Channels that nobody works on: what listening to them needs, and what a node that died left to be done.

use super::rig::{Rig, user_id};
use actors::channel::load;
use actors::command::Verb;
use actors::context::Context;
use actors::store::LogId;
use actors::store::memory::MemoryStore;
use proto::id::ChannelId;
use proto::v1::event::Body;
use simulations::world::through::{Held, Order, Through};

#[test]
fn a_tail_is_known_without_an_actor_once_nothing_is_left_to_be_done() {
    let held = Held::new(|log| matches!(log.channel, ChannelId::User(_)));
    Rig::run_behind(Rig::config(), &held, async |rig| {
        let stands = async |log: &LogId| load::stand(&*rig.store, log).await.unwrap();
        let channel = rig.channel("general", &["ann"]).await;
        let (log, own) = (rig.log(&channel), Context::user(&rig.workspace, &user_id("ann")));
        let mut last = 0;
        let finished = async || {
            last = rig.posts("ann", &channel, "x").await.seq;
            stands(&log).await == Some(last)
        };
        rig.until("its member was told of it", finished).await;
        held.order(Order::Wait);
        let joined = rig.does("bob", &channel, Verb::Join).await.unwrap();
        assert_eq!(stands(&log).await, None, "bob's own log does not say so yet");
        held.order(Order::Pass);
        let told =
            async || rig.posts("ann", &channel, "x").await.seq > joined.seq && stands(&log).await.is_some();
        rig.until("bob was told", told).await;
        let (_, head) = rig.store.head(&own).await.unwrap().unwrap();
        assert_eq!(stands(&own).await, Some(head.tail), "nothing follows from a user's own log");
        assert_eq!(stands(&rig.log("C0000000009")).await, Some(0), "a log that has not begun");
    });
}

#[test]
fn what_a_node_left_to_be_done_is_done_once_somebody_listens() {
    let (store, held) = (MemoryStore::new(), Held::new(|log| matches!(log.channel, ChannelId::User(_))));
    let mut channel = String::new();
    Rig::run_on(
        Rig::config(),
        |_| Through::new(store.clone(), held.clone()),
        async |rig| {
            channel = rig.channel("general", &["ann"]).await;
            held.order(Order::Fail);
            rig.does("ann", &channel, Verb::Leave).await.unwrap();
        },
    );
    Rig::run_on(
        Rig::config(),
        |_| store,
        async |rig| {
            let _ann = rig.connect("ann", &[(&channel, 0)]).await;
            let log = Context::user(&rig.workspace, &user_id("ann"));
            let left = |body: &Body| matches!(body, Body::ConversationLeft(left) if left.channel == channel);
            let told = async || {
                let events = rig.store.log(&log, 0, 100).await.unwrap().events;
                events.iter().any(|event| event.body.as_ref().is_some_and(left))
            };
            rig.until("ann's own log says that she left", told).await;
        },
    );
}
