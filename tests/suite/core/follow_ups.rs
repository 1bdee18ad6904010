//! Follow-ups: what an event of one log makes other logs do happens, whatever happens in between, and once.

use super::rig::{Rig, user_id};
use actors::context::Context;
use proto::v1::event::Body;

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
