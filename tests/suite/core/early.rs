//! Actors that are awake before what they are about is there, or again after they failed: what they do not have in
//! memory they read, and the views equal the logs all the same.

use super::rig::{Rig, says, user_id};
use actors::command::{Command, Verb};
use actors::context::Context;
use actors::opening;
use proto::id;
use proto::refusal::Refusal;
use proto::v1::TokenKind;
use simulations::fold::{Inbox, Roster, compare};

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

#[test]
fn a_token_that_is_revoked_by_another_life_of_its_users_actor_stays_what_it_was() {
    Rig::run(async |rig| {
        let ann = user_id("ann");
        let log = Context::user(&rig.workspace, &ann);
        let (hash, scopes) = ("h".to_owned(), vec!["chat:write".to_owned()]);
        let issue = Verb::IssueToken { hash: hash.clone(), kind: TokenKind::Bot, scopes };
        rig.context.execute(log.clone(), Command::system("", issue)).await.unwrap();
        rig.panic(&log.channel.to_string());
        let revoke = Verb::RevokeToken { hash: hash.clone() };
        rig.context.execute(log.clone(), Command::system("", revoke)).await.unwrap();
        assert!(rig.store.token(&hash).await.unwrap().unwrap().revoked);
        let fold = Inbox::of(&rig.store.log(&log, 0, 100).await.unwrap().events).unwrap();
        compare::inbox(&*rig.store, &rig.workspace, &ann, &fold).await.unwrap();
        let never = Command::system("", Verb::RevokeToken { hash: "never issued".into() });
        let refused = rig.context.execute(log, never).await.unwrap_err();
        assert_eq!(refused, Refusal::Named("token_not_found"));
    });
}
