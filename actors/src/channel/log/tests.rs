//! Tests of a log being written.

use super::*;
use crate::command::Verb;
use crate::store::{INLINE_BODY_MAX, key_hash};
use proto::id::{ConversationId, UserId, WorkspaceId};
use proto::v1::event::Body;
use proto::v1::{Content, Posted};

const NOW: Micros = 1_700_000_000_000_000;

fn log(head: Option<&Head>) -> Log {
    let id = LogId::new(WorkspaceId::parse("T1").unwrap(), ConversationId::parse("C1").unwrap());
    Log::new(id, Slot::new(1).unwrap(), 3, head, Window::default())
}

/// A log whose store holds this many events.
fn log_at(tail: u64) -> Log {
    log(Some(&Head { tail, epoch: 3, last_us: NOW, ..Head::default() }))
}

fn command(key: &str) -> Command {
    Command::by(&UserId::parse("U1").unwrap(), Verb::Join).keyed(key)
}

fn draft(bytes: usize) -> Draft {
    let content = Content { text: "x".repeat(bytes), ..Content::default() };
    let posted = Posted { content: Some(content), ..Posted::default() };
    Draft { body: Body::Posted(posted), countable: true, broadcast: false }
}

/// Numbers and stages an event of this many bytes; answers its seq.
fn stage(log: &mut Log, key: &str, bytes: usize, now: Micros) -> u64 {
    let command = command(key);
    let event = log.number(&command, draft(bytes), 7, now);
    let (seq, views) = (event.seq, vec![ViewWrite::MessageGone { bucket: 0, us: event.us }]);
    let reply = Admitted::new(Box::new(tokio::sync::oneshot::channel().0), None);
    let (aside, at) = (Aside::default(), Duration::ZERO);
    log.stage(Staged { command, reply, event, views, aside, at, idle: Vec::new() });
    seq
}

fn fill(log: &mut Log, count: usize, bytes: usize) {
    (0..count).for_each(|_| _ = stage(log, "", bytes, NOW));
}

/// The sizes of all batches until nothing is left.
fn batches(log: &mut Log) -> Vec<Append> {
    let mut batches = Vec::new();
    while let Some(batch) = log.take_batch(BatchId([batches.len() as u8; 16])) {
        crate::store::fence::assert_whole(&batch);
        assert!(log.take_batch(BatchId([9; 16])).is_none(), "one batch at a time");
        assert_eq!(log.applied().len(), batch.events.len());
        batches.push(batch);
    }
    assert!(log.is_idle());
    batches
}

#[test]
fn seq_is_dense_and_time_rises_whatever_the_clock_does() {
    let mut log = log_at(41);
    let hour = 3_600_000_000;
    for (now, seq) in [NOW + 5, NOW + 5, NOW - hour, NOW + 6, 0, NOW + hour].into_iter().zip(42..) {
        assert_eq!(stage(&mut log, "", 1, now), seq);
    }
    let events = batches(&mut log).remove(0).events;
    assert!(events[0].us > NOW && events.windows(2).all(|two| two[0].us < two[1].us));
    assert_eq!(events.last().unwrap().us, NOW + hour, "the clock counts where it is ahead");
}

#[test]
fn counts_run_on_from_the_head() {
    let mut log = log(Some(&Head { tail: 5, countable: 3, broadcast: 1, last_us: NOW, ..Head::default() }));
    let silent = Draft::silent(Body::Archived(Default::default()));
    let counts = |event: Event| (event.countable, event.broadcast);
    assert_eq!(counts(log.number(&command(""), draft(1), 7, NOW)), (4, 1));
    assert_eq!(counts(log.number(&command(""), silent, 7, NOW)), (4, 1));
    assert_eq!(counts(log.number(&command(""), Draft { broadcast: true, ..draft(1) }, 7, NOW)), (5, 2));
}

#[test]
fn a_batch_has_at_most_as_many_rows_as_an_append_takes() {
    let mut log = log(None);
    fill(&mut log, 300, 10);
    let batches = batches(&mut log);
    assert_eq!(batches.iter().map(|batch| batch.events.len()).collect::<Vec<_>>(), [128, 128, 44]);
    assert_eq!(batches.iter().map(|batch| batch.tail).collect::<Vec<_>>(), [0, 128, 256]);
    assert!(batches.iter().all(|batch| batch.views.len() == batch.events.len()), "views go along");
}

#[test]
fn a_batch_never_crosses_a_bucket() {
    let mut log = log_at(BUCKET_ROWS - 6);
    fill(&mut log, 10, 10);
    let batches = batches(&mut log);
    let shape: Vec<_> = batches.iter().map(|batch| (batch.bucket, batch.tail, batch.events.len())).collect();
    assert_eq!(shape, [(0, BUCKET_ROWS - 6, 6), (1, BUCKET_ROWS, 4)]);
}

#[test]
fn a_batch_has_at_most_as_many_bytes_as_an_append_takes() {
    let mut log = log(None);
    fill(&mut log, 100, INLINE_BODY_MAX - 100);
    let all = batches(&mut log);
    assert!(all.len() > 1);
    let bytes = |batch: &Append| batch.events.iter().map(event_bytes).sum::<usize>();
    assert!(all.iter().all(|batch| bytes(batch) <= APPEND_BYTES_MAX));
    assert!(bytes(&all[0]) > APPEND_BYTES_MAX - INLINE_BODY_MAX, "and as many as fit");
    // The last byte that fits is used, and not one more.
    let with = |more: usize| {
        let mut log = self::log(None);
        let size = |bytes: usize| event_bytes(&log_at(1).number(&command(""), draft(bytes), 7, NOW));
        let share = APPEND_BYTES_MAX / 100;
        let text = share - (size(share) - share);
        fill(&mut log, 99, text);
        stage(&mut log, "", text + APPEND_BYTES_MAX % 100 + more, NOW);
        batches(&mut log)
    };
    let sizes = |batches: &[Append]| batches.iter().map(|batch| batch.events.len()).collect::<Vec<_>>();
    let full = with(0);
    assert_eq!((sizes(&full), bytes(&full[0])), (vec![100], APPEND_BYTES_MAX));
    assert_eq!(sizes(&with(1)), [99, 1]);
    // Contents that are kept apart are not in the batch.
    fill(&mut log, 100, INLINE_BODY_MAX * 10);
    assert_eq!(batches(&mut log).len(), 1);
}

#[test]
fn what_waits_is_found_until_it_is_durable_and_given_back_in_order_when_it_never_will_be() {
    let mut log = log(None);
    fill(&mut log, 3, 10);
    let flying = log.take_batch(BatchId([1; 16])).unwrap().events.len();
    fill(&mut log, 2, 10);
    assert_eq!((flying, log.newest().unwrap().event.seq), (3, 5));
    assert!((1..=5).all(|seq| log.waiting(seq).is_some()) && log.waiting(6).is_none());
    log.applied();
    assert!(log.waiting(3).is_none() && log.waiting(4).is_some());
    assert_eq!((log.durable(), log.is_idle()), (3, false));
    log.take_batch(BatchId([2; 16])).unwrap();
    fill(&mut log, 2, 10);
    assert_eq!(log.abandon().iter().map(|staged| staged.event.seq).collect::<Vec<_>>(), [4, 5, 6, 7]);
}

#[test]
fn a_key_is_known_for_two_buckets_and_one_with_a_time_is_looked_for_beyond() {
    let mut log = log(None);
    // A UUIDv7 of this very time.
    let timed = format!("{:08x}-{:04x}-7000-8000-000000000001", (NOW / 1000) >> 16, (NOW / 1000) & 0xffff);
    stage(&mut log, "plain", 1, NOW);
    stage(&mut log, &timed, 1, NOW + 1);
    let seen = |log: &Log, key: &str| log.seen(&command(key), 7, NOW + 100_000);
    for bucket in 1..=2 {
        let place = log.tail;
        fill(&mut log, (bucket * BUCKET_ROWS - place) as usize, 1);
        assert_eq!(seen(&log, "plain"), Seen::Retry { seq: 1, us: NOW }, "at {}", log.tail);
        assert_eq!(seen(&log, &timed), Seen::Retry { seq: 2, us: NOW + 1 });
    }
    fill(&mut log, 1, 1);
    assert_eq!(bucket_of(log.tail), 2);
    assert_eq!(seen(&log, "plain"), Seen::New, "nothing says how old it is");
    assert_eq!(seen(&log, &timed), Seen::Unread(0));
    let key = key_hash("U1", &timed);
    log.learn(0, vec![KeySeen { key, seq: 2, us: NOW + 1, body: 7 }]);
    assert_eq!(seen(&log, &timed), Seen::Retry { seq: 2, us: NOW + 1 });
    assert_eq!(log.seen(&command(""), 7, NOW), Seen::New, "no key, no memory");
}

#[test]
fn the_follow_up_cursor_goes_with_the_next_append_and_never_back() {
    let mut log = log(Some(&Head { tail: 5, followed: 3, last_us: NOW, ..Head::default() }));
    log.set_followed(2);
    assert_eq!(log.followed(), 3);
    log.set_followed(5);
    fill(&mut log, 1, 1);
    assert_eq!(log.take_batch(BatchId([1; 16])).unwrap().followed, 5);
}
