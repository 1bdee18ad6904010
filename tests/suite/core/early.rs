//! Actors that are awake before what they are about is there, or again after they failed: what they do not have in
//! memory they read, and the views equal the logs all the same.

use super::rig::{Rig, says, user_id};
use actors::context::Context;
use actors::opening;
use proto::id;
use proto::refusal::Refusal;
use simulations::fold::Roster;
use simulations::fold::compare;

#[test]
fn a_direct_conversation_that_was_asked_for_too_early_is_who_opened_its() {
    Rig::run(async |rig| {
        let (ann, bob) = (user_id("ann"), user_id("bob"));
        let channel = id::direct(&rig.workspace, &[ann.clone(), bob.clone()]);
        let early = rig.does("bob", channel.as_str(), says("hello?")).await;
        assert_eq!(early.unwrap_err(), Refusal::Named("channel_not_found"));
        let opened = opening::direct(&rig.context, &rig.workspace, &ann, std::slice::from_ref(&bob)).await;
        assert_eq!(opened.unwrap().channel, channel);
        let row = rig.store.conversation(&rig.workspace, &channel).await.unwrap().unwrap();
        assert_eq!(row.creator, ann.as_str());
        let events = rig.store.log(&Context::workspace(&rig.workspace), 0, 100).await.unwrap().events;
        let fold = Roster::of(&events).unwrap();
        compare::roster(&*rig.store, &rig.workspace, &fold).await.unwrap();
    });
}
