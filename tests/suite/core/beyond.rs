//! Cursors that are ahead of what is known of their logs: of those that are right nothing is sent twice, and those that
//! are wrong keep nothing from their client.

use super::rig::{Rig, user_id};
use actors::router::Router;
use actors::store::{Append, Appended, BatchId};
use proto::v1::client_frame::Frame as Ask;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{self, Cursor, Event};

#[test]
fn a_cursor_beyond_the_end_of_its_log_is_served_from_the_end_and_told_so() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let own = format!("user:{}", user_id("bob"));
        for beyond in [u64::MAX, 1000] {
            let last = rig.posts("ann", &channel, "before").await.seq;
            let mut bob = rig.connect("bob", &[(&channel, beyond), (&own, beyond)]).await;
            assert_eq!(bob.began(&channel), Some(last));
            let (_, head) = rig.store.head(&rig.log(&own)).await.unwrap().unwrap();
            assert_eq!(bob.began(&own), Some(head.tail));
            rig.posts("ann", &channel, "after").await;
            assert_eq!(seqs(&bob.events(&channel, last + 1).await), [last + 1]);

            bob.say(Ask::Unfollow(v1::Unfollow { channels: vec![channel.clone()] })).await;
            let cursors = vec![Cursor { channel: channel.clone(), seq: beyond }];
            let Say::Following(following) = bob.ask(Ask::Follow(v1::Follow { cursors })).await else {
                panic!("it may be followed")
            };
            assert_eq!(following.tails, [Cursor { channel: channel.clone(), seq: last + 1 }]);
            rig.posts("ann", &channel, "at last").await;
            assert_eq!(seqs(&bob.events(&channel, last + 2).await), [last + 1, last + 2]);
        }
    });
}

fn seqs(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn a_cursor_ahead_of_a_tail_that_is_old_is_right_and_nothing_is_sent_twice() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let last = rig.posts("ann", &channel, "here").await.seq;
        ann.events(&channel, last).await;
        // Another node writes, and bob hears of it there.
        let (log, seq) = (rig.log(&channel), last + 1);
        let (bucket, head) = rig.store.head(&log).await.unwrap().unwrap();
        let append = Append {
            slot: Router::slot(&log),
            log,
            bucket,
            tail: last,
            epoch: head.epoch,
            batch: BatchId([7; 16]),
            followed: head.followed,
            events: vec![Event { seq, us: head.last_us + 1, epoch: head.epoch, ..Event::default() }],
            views: Vec::new(),
        };
        assert_eq!(rig.store.append(append).await, Ok(Appended::Applied));
        let mut bob = rig.connect("bob", &[(&channel, seq)]).await;
        assert_eq!(bob.began(&channel), Some(seq));
        assert_eq!(rig.posts("ann", &channel, "there").await.seq, seq + 1);
        assert_eq!(seqs(&bob.events(&channel, seq + 1).await), [seq + 1]);
        assert_eq!(seqs(&ann.events(&channel, seq + 1).await), [last, seq, seq + 1]);
    });
}
