//! How much a session may have, and what is said at the limit.

use super::rig::Rig;
use super::{follow, post, unfollow};
use actors::config::Config;
use actors::store::memory::MemoryStore;
use proto::v1::server_frame::Frame as Say;
use simulations::world::through::{Held, Order};

#[test]
fn a_session_has_as_many_commands_under_way_as_it_may_and_not_one_more() {
    let held = Held::new(|log| log.channel.conversation().is_some());
    let config = Config { posts_in_flight_max: 3, ..Rig::config() };
    Rig::run_behind(config, &held, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        held.order(Order::Wait);
        let mut under_way = Vec::new();
        for key in ["1", "2", "3"] {
            under_way.push(ann.say(post(&channel, key, key)).await);
        }
        let over = ann.ask(post(&channel, "4", "4")).await;
        let Say::Refused(refused) = over else {
            panic!("three are under way, and this is the fourth: {over:?}")
        };
        assert_eq!((refused.code.as_str(), refused.state.as_str()), ("ratelimited", "not_applied"));
        held.order(Order::Pass);
        for number in under_way {
            let taken = ann.answer_to(number).await;
            assert!(matches!(taken, Say::Ack(_)), "one of three is taken: {taken:?}");
        }
        assert!(matches!(ann.ask(post(&channel, "5", "5")).await, Say::Ack(_)), "there is room again");
    });
}

#[test]
fn a_session_follows_as_many_logs_as_it_may_and_not_one_more() {
    // The workspace's, its user's, and two more.
    let config = Config { follows_max: 4, ..Rig::config() };
    Rig::run_on(
        config,
        |_| MemoryStore::new(),
        async |rig| {
            let [one, two] = [rig.channel("one", &["bob"]).await, rig.channel("two", &["bob"]).await];
            let mut bob = rig.connect("bob", &[]).await;
            assert!(bob.follows(&one) && bob.follows(&two));
            bob.say(unfollow(&one)).await;
            let three = rig.channel("three", &["bob"]).await;
            let seq = rig.posts("bob", &three, "there is room").await.seq;
            bob.events(&three, seq).await;
            let over = bob.ask(follow(&one, 1)).await;
            let Say::Refused(refused) = over else { panic!("this would be the fifth: {over:?}") };
            assert_eq!(refused.code, "ratelimited");
            bob.say(unfollow(&two)).await;
            let again = bob.ask(follow(&one, 1)).await;
            assert!(matches!(again, Say::Following(_)), "there is room again: {again:?}");
        },
    );
}
