//! What a session does with every beat of its shard's clock.

use super::rig::Rig;
use actors::config::Config;
use std::time::Duration;

/// A clock that beats often.
fn quick() -> Config {
    Config { ping_interval_ms: 10, ..Rig::config() }
}

#[test]
fn who_is_sent_away_is_served_until_its_turn() {
    Rig::run_with(quick(), async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        // The first of a shard goes at once; so many that some shard has a second one.
        let mut turns = Vec::new();
        for _ in 0..=rig.context.host.shards() {
            turns.push(rig.connect("ann", &[]).await);
        }
        rig.send_away(Duration::from_secs(3600)).await;
        let mut later = None;
        for mut ann in turns {
            while ann.sent_away.is_none() {
                ann.hear().await;
            }
            later = later.or(ann.sent_away.filter(|delay_ms| *delay_ms > 0).map(|_| ann));
        }
        let mut ann = later.expect("somebody's turn is later");
        let before = ann.pings;
        while ann.pings < before + 3 {
            ann.hear().await;
        }
        let seq = rig.posts("ann", &channel, "still here").await.seq;
        ann.events(&channel, seq).await;
    });
}
