//! Long logs: replays that are under way while things change, and what is dropped behind them.

use super::rig::{Rig, says};
use actors::config::Config;
use actors::store::BUCKET_ROWS;
use actors::store::memory::MemoryStore;
use futures::future::try_join_all;
use proto::v1::client_frame::Frame as Ask;
use proto::v1::{self, Cursor};

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
                bob.say(Ask::Unfollow(v1::Unfollow { channels: vec![channel.clone()] })).await;
                let cursors = vec![Cursor { channel: channel.clone(), seq: 1 }];
                bob.ask(Ask::Follow(v1::Follow { cursors })).await;
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
