//! Long logs: replays that are under way while things change, and what is dropped behind them.

use super::rig::{Rig, says, user_id};
use super::{follow, unfollow};
use actors::command::Verb;
use actors::config::Config;
use actors::marks;
use actors::store::BUCKET_ROWS;
use actors::store::memory::MemoryStore;
use futures::future::try_join_all;
use proto::ts::Micros;
use proto::v1::Content;

async fn fill(rig: &Rig, channel: &str, mut count: u64) {
    while count > 0 {
        let some = count.min(500);
        try_join_all((0..some).map(|_| rig.does("ann", channel, says("x")))).await.unwrap();
        count -= some;
    }
}

#[test]
fn following_anew_from_an_older_cursor_while_a_replay_is_under_way_skips_nothing() {
    // Nothing recent is in memory: every replay reads the store, and takes a while.
    let config = Config { channel_recent_max: 1, ..Rig::config() };
    Rig::run_on(
        config,
        |_| MemoryStore::new(),
        async |rig| {
            let channel = rig.channel("general", &["ann", "bob"]).await;
            fill(rig, &channel, 3000).await;
            let mut bob = rig.connect("bob", &[(&channel, 1000)]).await;
            for _ in 0..20 {
                bob.say(unfollow(&channel)).await;
                bob.ask(follow(&channel, 1)).await;
            }
            let events = bob.events(&channel, 3001).await;
            let after_all = events.iter().rposition(|event| event.seq == 2).expect("it began anew");
            let seqs: Vec<u64> = events[after_all..].iter().map(|event| event.seq).collect();
            assert_eq!(seqs, (2..=3001).collect::<Vec<_>>());
            assert_eq!(bob.skips, [], "nothing was dropped from this log");
        },
    );
}

#[test]
fn full_buckets_leave_the_log_while_the_channel_is_hot() {
    let config = Config { resume_window_hours: 0, ..Rig::config() };
    Rig::run_on(
        config,
        |_| MemoryStore::new(),
        async |rig| {
            let channel = rig.channel("general", &["ann"]).await;
            fill(rig, &channel, 2 * BUCKET_ROWS + 10).await;
            let first = async || rig.store.log(&rig.log(&channel), 0, 1).await.unwrap().first;
            rig.until("the first bucket is dropped", async || first().await == BUCKET_ROWS + 1).await;
        },
    );
}

#[test]
fn what_is_unread_is_known_of_a_message_whose_row_the_log_has_dropped() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let first = rig.posts("ann", &channel, "x").await.us;
        fill(rig, &channel, 3999).await;
        let marked = rig.posts("ann", &channel, "x").await.us;
        rig.posts("ann", &channel, "<!here> it is").await;
        let content = Content { text: "counts for nobody".into(), ..Content::default() };
        let (thread_us, client_msg_id) = (marked, String::new());
        let reply = Verb::Post { content, thread_us, reply_broadcast: false, client_msg_id };
        rig.does("ann", &channel, reply).await.unwrap();
        rig.does("bob", &channel, Verb::Join).await.unwrap();
        let target_us = rig.posts("ann", &channel, "is gone").await.us;
        rig.does("ann", &channel, Verb::Delete { target_us }).await.unwrap();
        fill(rig, &channel, 198).await;
        assert_eq!(unread(rig, &channel, marked).await, (200, 1), "the log counts what is gone as well");
        assert_eq!(rig.store.retain_log(&rig.log(&channel), Micros::MAX, 1).await, Ok(1));
        assert_eq!(unread(rig, &channel, first).await, (4199, 1));
        assert_eq!(unread(rig, &channel, marked).await, (199, 1));
    });
}

/// Messages and mentions of everyone that ann has not read, once this one is marked.
async fn unread(rig: &Rig, channel: &str, us: Micros) -> (u64, u64) {
    let log = rig.log(channel);
    let id = log.channel.conversation().unwrap();
    marks::mark(&rig.context, &rig.login("ann"), id, String::new(), us).await.unwrap();
    let (_, head) = rig.store.head(&log).await.unwrap().unwrap();
    let marks = rig.store.marks(&rig.workspace, &user_id("ann")).await.unwrap();
    let (_, mark) = marks.into_iter().find(|(marked, _)| marked == id).unwrap();
    (head.countable - mark.countable, head.broadcast - mark.broadcast)
}
