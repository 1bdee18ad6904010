//! Cursors that are ahead of what is known of their logs: of those that are right nothing is sent twice, and those that
//! are wrong keep nothing from their client. And logs that are ahead of their slots.

use super::rig::{Rig, says, user_id};
use super::{follow, unfollow};
use actors::command::{Command, Verb};
use actors::router::Router;
use actors::store::{Append, Appended, BatchId, ViewWrite};
use cluster::claims::{Claim, ClaimOutcome, partition};
use proto::id::ConversationId;
use proto::refusal::Refusal;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{ConversationJoined, Cursor, Event, JoinedRow, SlotRow};
use simulations::world::through::Hook;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tests::harness::step;

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

            bob.say(unfollow(&channel)).await;
            let Say::Following(following) = bob.ask(follow(&channel, beyond)).await else {
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

/// An append of another owner, whose epoch is higher by this, and where it stands.
async fn another_writes(rig: &Rig, channel: &str, higher: u64) -> u64 {
    another_writes_that(rig, channel, higher, None, Vec::new()).await
}

async fn another_writes_that(
    rig: &Rig,
    channel: &str,
    higher: u64,
    body: Option<Body>,
    views: Vec<ViewWrite>,
) -> u64 {
    let log = rig.log(channel);
    let (bucket, head) = rig.store.head(&log).await.unwrap().unwrap();
    let (seq, epoch) = (head.tail + 1, head.epoch + higher);
    let append = Append {
        slot: Router::slot(&log),
        log,
        bucket,
        tail: head.tail,
        epoch,
        batch: BatchId([seq as u8; 16]),
        followed: head.followed,
        events: vec![Event { seq, us: head.last_us + 1, epoch, body, ..Event::default() }],
        views,
    };
    assert_eq!(rig.store.append(append).await, Ok(Appended::Applied));
    seq
}

#[test]
fn a_log_that_comes_from_a_slot_of_a_higher_epoch_lifts_its_new_slot() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let before = rig.posts("ann", &channel, "here").await.seq;
        let epoch = async || rig.store.head(&rig.log(&channel)).await.unwrap().unwrap().1.epoch;
        let own = epoch().await;
        assert_eq!(another_writes(rig, &channel, 5).await, before + 1);
        assert_eq!(rig.posts("ann", &channel, "lifted").await.seq, before + 2);
        let lifted = epoch().await;
        assert!(lifted >= own + 5, "{own} became {lifted}");
        assert_eq!(rig.posts("ann", &channel, "once").await.seq, before + 3);
        assert_eq!(epoch().await, lifted, "a slot is lifted once");
    });
}

#[test]
fn what_memory_alone_has_decided_is_not_answered_when_the_log_has_gone_on() {
    Rig::run(async |rig| {
        let name = rig.channel("general", &["ann", "bob"]).await;
        let (bob, channel) = (user_id("bob"), ConversationId::parse(&name).unwrap());
        let own = format!("user:{bob}");
        let row = async || {
            rig.store.joined(&rig.workspace, &bob, None, 1).await.unwrap().rows.pop().map(|row| row.1)
        };
        rig.does("bob", &name, Verb::Leave).await.unwrap();
        rig.until("bob's own log knows of it", async || row().await.is_some_and(|row| row.left)).await;
        // The next actor has read the log and written nothing yet, when an append of an earlier owner lands.
        rig.panic(&own);
        rig.all_taken(&own).await;
        let joined = ConversationJoined { channel: name.clone(), seq: 90, kind: 0 };
        let back = ViewWrite::Joined {
            channel: channel.clone(),
            row: JoinedRow { seq: 90, ..JoinedRow::default() },
        };
        another_writes_that(rig, &own, 0, Some(Body::ConversationJoined(joined)), vec![back]).await;
        let left = Command::system(format!("left:{name}:91"), Verb::NoteLeft { channel, seq: 91 });
        rig.context.execute(rig.log(&own), left).await.unwrap();
        let found = row().await.unwrap();
        assert_eq!((found.left, found.seq, found.left_seq), (true, 90, 91));
    });
}

/// Counts reads of logs. Nobody else has the store: no late look at tails helps.
#[derive(Clone, Default)]
struct Looks(Arc<AtomicUsize>);

impl Hook for Looks {
    fn read(&self, name: &'static str) {
        self.0.fetch_add(usize::from(["head", "log"].contains(&name)), Relaxed);
    }
}

#[test]
fn a_replay_shows_what_an_earlier_owner_wrote_after_this_one_had_read_the_log() {
    let looks = Looks::default();
    Rig::run_behind(Rig::config(), &looks, async |rig| {
        for (name, behind) in [("level", false), ("behind", true)] {
            let channel = rig.channel(name, &["ann"]).await;
            let log = rig.log(&channel);
            let before = rig.posts("ann", &channel, "before").await.seq;
            rig.panic(&channel);
            rig.all_taken(&channel).await;
            let mut after = if behind { 0 } else { before };
            // The second one finds an owner that has what the first one wrote in memory.
            for _ in 0..2 {
                let late = another_writes(rig, &channel, 0).await;
                let read = rig.context.router.read(&log, after, 10);
                let replay = step("the replay", read).await.unwrap().unwrap();
                assert_eq!((replay.events.last().unwrap().event.seq, replay.tail), (late, late));
                after = late;
            }
            let tail = rig.context.router.read(&log, after, 10).await.unwrap().tail;
            assert_eq!(tail, after, "and the owner knows it");
        }
    });
}

#[test]
fn who_is_level_with_an_owner_that_has_written_costs_the_store_nothing() {
    let looks = Looks::default();
    Rig::run_behind(Rig::config(), &looks, async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let (log, ann) = (rig.log(&channel), user_id("ann"));
        let told = async || !rig.store.joined(&rig.workspace, &ann, None, 1).await.unwrap().rows.is_empty();
        rig.until("ann's own log knows of it", told).await;
        let last = rig.posts("ann", &channel, "here").await.seq;
        let before = looks.0.load(Relaxed);
        let replay = rig.context.router.read(&log, last, 10).await.unwrap();
        assert_eq!((replay.events.len(), replay.tail), (0, last));
        assert_eq!(looks.0.load(Relaxed), before);
    });
}

#[test]
fn a_log_whose_slot_another_node_has_taken_is_written_no_more() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann"]).await;
        let before = rig.posts("ann", &channel, "here").await.seq;
        let slot = Router::slot(&rig.log(&channel));
        let rows = rig.claims.read(partition(slot)).await.unwrap();
        let (_, row) = rows.into_iter().find(|(of, _)| *of == slot).unwrap();
        let to = SlotRow { epoch: row.epoch + 1, node: "n2".into(), boot: 2, cell: row.cell };
        let taken = rig.claims.claim(vec![Claim { slot, from_epoch: row.epoch, to }]).await;
        assert_eq!(taken, Ok(vec![ClaimOutcome::Applied]));
        assert_eq!(another_writes(rig, &channel, 1).await, before + 1);
        let refused = rig.does("ann", &channel, says("nobody's")).await;
        assert!(matches!(refused, Err(Refusal::Unavailable(_) | Refusal::Unknown)), "{refused:?}");
        let (_, head) = rig.store.head(&rig.log(&channel)).await.unwrap().unwrap();
        assert_eq!((head.tail, head.epoch), (before + 1, row.epoch + 1));
    });
}

#[test]
fn a_cursor_ahead_of_a_tail_that_is_old_is_right_and_nothing_is_sent_twice() {
    Rig::run(async |rig| {
        let channel = rig.channel("general", &["ann", "bob"]).await;
        let mut ann = rig.connect("ann", &[]).await;
        let last = rig.posts("ann", &channel, "here").await.seq;
        ann.events(&channel, last).await;
        // Another node writes, and bob hears of it there.
        let seq = another_writes(rig, &channel, 0).await;
        let mut bob = rig.connect("bob", &[(&channel, seq)]).await;
        assert_eq!(bob.began(&channel), Some(seq));
        assert_eq!(rig.posts("ann", &channel, "there").await.seq, seq + 1);
        assert_eq!(seqs(&bob.events(&channel, seq + 1).await), [seq + 1]);
        assert_eq!(seqs(&ann.events(&channel, seq + 1).await), [last, seq, seq + 1]);
    });
}
