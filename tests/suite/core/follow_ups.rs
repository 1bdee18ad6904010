//! Follow-ups: what an event of one log makes other logs do happens, whatever happens in between, and once.

use super::rig::{Rig, user_id};
use actors::command::{Command, Verb};
use actors::context::Context;
use proto::id::{ChannelId, ConversationId};
use proto::refusal::Refusal;
use proto::v1::ConversationKind;
use proto::v1::event::Body;
use simulations::world::through::{Held, Order};

#[test]
fn what_follows_is_done_though_the_channel_fails_and_nobody_listens() {
    Rig::run(async |rig| {
        let crowd: Vec<String> = (10..50).map(|number| format!("p{number}")).collect();
        let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
        rig.found(&rig.workspace, &crowd).await;
        let channel = rig.channel("general", &crowd).await;
        let text: String = crowd.iter().map(|name| format!("<@{}> ", user_id(name))).collect();
        let posted = rig.posts("p10", &channel, &text).await;
        rig.panic(&channel);
        for name in &crowd[1..] {
            let log = Context::user(&rig.workspace, &user_id(name));
            let mentions = async || {
                let events = rig.store.log(&log, 0, 100).await.unwrap().events;
                let of_it = |body: &Body| matches!(body, Body::Mentioned(m) if m.target_us == posted.us);
                events.iter().filter(|event| event.body.as_ref().is_some_and(of_it)).count()
            };
            rig.until(&format!("{name} is told"), async || mentions().await > 0).await;
            assert_eq!(mentions().await, 1, "{name} is told once");
        }
    });
}

#[test]
fn a_name_stays_taken_though_the_workspace_restarts_before_the_conversation_has_it() {
    let held = Held::new(|log| matches!(log.channel, ChannelId::Conversation(_)));
    Rig::run_behind(Rig::config(), &held, async |rig| {
        let channel = rig.channel("before", &["ann"]).await;
        held.order(Order::Wait);
        let log = Context::workspace(&rig.workspace);
        let id = ConversationId::parse(&channel).unwrap();
        let rename = Verb::RenameConversation { channel: id, name: "after".into() };
        rig.context.execute(log.clone(), Command::system("", rename)).await.unwrap();
        rig.panic(&log.channel.to_string());
        let take = |name: &str| {
            let channel = ConversationId::parse(&rig.context.mint('C')).unwrap();
            let (kind, members) = (ConversationKind::Public, vec![user_id("ann")]);
            Command::system("", Verb::AddConversation { channel, name: name.into(), kind, members })
        };
        let refused = rig.context.execute(log.clone(), take("after")).await.unwrap_err();
        assert_eq!(refused, Refusal::Named("name_taken"));
        rig.context.execute(log, take("before")).await.expect("nobody has it any more");
        held.order(Order::Pass);
    });
}
