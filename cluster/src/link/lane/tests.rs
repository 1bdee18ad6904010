//! Credits, order, heart-beats and faults of a lane, without a wire.

use super::*;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

fn config() -> LinkConfig {
    LinkConfig {
        payload_bytes_max: 100,
        queue_frames_max: 50,
        queue_credits_max: 4000,
        window_credits: 400,
        batch_frames_max: 4,
        batch_bytes: 150,
        ..LinkConfig::default()
    }
}
fn lane() -> Lane {
    Lane::new(config(), Duration::ZERO)
}
fn frame(size: usize) -> Bytes {
    vec![7; size].into()
}
fn batch(seq: u64) -> LinkBatch {
    LinkBatch { seq, ..LinkBatch::default() }
}

#[test]
fn a_queue_refuses_at_its_limit_of_frames_and_of_credits() {
    let (mut many, mut large) = (lane(), lane());
    let taken = (0..60).filter(|_| many.push(Class::Normal, frame(0)).is_ok()).count();
    assert_eq!((taken, many.queued(Class::Normal)), (50, 50));
    let taken = (0..60).filter(|_| large.push(Class::Normal, frame(100)).is_ok()).count();
    assert_eq!(taken, 24, "24 frames of 164 credits fit 4000");
    assert_eq!(large.push(Class::Normal, frame(100)), Err(LinkError::Full));
    assert_eq!(large.push(Class::Urgent, frame(100)), Ok(()));
    assert_eq!(large.push(Class::Urgent, frame(101)), Err(LinkError::TooLarge { bytes: 101, max: 100 }));
}

#[test]
fn a_window_stops_one_class_and_credit_lets_it_go_on() {
    let (mut a, mut b) = (lane(), lane());
    (0..5).for_each(|_| a.push(Class::Normal, frame(100)).unwrap());
    let first = a.fill(MS).unwrap();
    assert_eq!(first.envelopes.len(), 2, "400 credits let two frames of 164 go");
    assert!(!a.is_ready() && a.fill(MS).is_none());
    a.push(Class::Urgent, frame(1)).unwrap();
    assert!(a.is_ready());
    let urgent = a.fill(MS).unwrap();
    assert_eq!(urgent.envelopes.len(), 1);
    let frames = b.take(first, MS).unwrap();
    b.take(urgent, MS).unwrap();
    b.consumed(Class::Normal, &frames[0].1);
    assert!(!b.is_ready() && b.fill(MS).is_none(), "less than half a window is not worth a batch");
    b.consumed(Class::Normal, &frames[1].1);
    assert!(b.is_ready());
    let credit = b.fill(MS).unwrap();
    assert_eq!((credit.urgent_credit, credit.normal_credit, credit.envelopes.len()), (0, 328, 0));
    a.take(credit, MS).unwrap();
    assert!(a.is_ready());
    assert_eq!(a.fill(MS).unwrap().envelopes.len(), 2);
}

#[test]
fn a_batch_ends_at_its_limits_and_starts_with_what_is_urgent() {
    let mut a = lane();
    (0..6).for_each(|_| a.push(Class::Normal, frame(0)).unwrap());
    a.push(Class::Urgent, frame(1)).unwrap();
    let batch = a.fill(MS).unwrap();
    assert_eq!(batch.envelopes.len(), 4);
    assert_eq!(batch.envelopes[0].class(), LinkClass::Urgent);
    assert!(batch.envelopes[1..].iter().all(|envelope| envelope.class() == LinkClass::Normal));
}

#[test]
fn a_batch_takes_no_further_frame_once_it_is_large() {
    let mut a = lane();
    (0..2).for_each(|_| a.push(Class::Urgent, frame(90)).unwrap());
    a.push(Class::Normal, frame(0)).unwrap();
    let sizes = |batch: LinkBatch| batch.envelopes.iter().map(|e| e.payload.len()).collect::<Vec<_>>();
    assert_eq!(a.fill(MS).map(sizes), Some(vec![90, 90]));
    assert_eq!(a.fill(MS).map(sizes), Some(vec![0]));
}

#[test]
fn a_quiet_side_beats_and_a_silent_one_is_noticed_after_three_missing_beats() {
    let mut a = lane();
    assert_eq!(a.fill(99 * MS), None);
    assert_eq!(a.wake_at(), 100 * MS);
    assert_eq!(a.fill(100 * MS), Some(batch(1)));
    assert_eq!(a.fill(199 * MS), None);
    assert_eq!(a.fill(200 * MS), Some(batch(2)));
    assert!(!a.silent(399 * MS));
    assert!(a.silent(400 * MS));
    a.take(batch(1), 390 * MS).unwrap();
    assert!(!a.silent(789 * MS));
    assert!(a.silent(790 * MS));
}

#[test]
fn a_batch_that_is_missing_doubled_or_beyond_the_rules_is_a_fault() {
    let with = |class: i32, size| LinkBatch {
        envelopes: vec![LinkEnvelope { class, payload: frame(size) }; 3],
        ..batch(1)
    };
    let table = [
        (batch(2), Fault::Gap { found: 2, expected: 1 }),
        (batch(0), Fault::Gap { found: 0, expected: 1 }),
        (LinkBatch { normal_credit: 1, ..batch(1) }, Fault::Credit),
        (with(0, 1), Fault::Frame),
        (with(9, 1), Fault::Frame),
        (with(2, 101), Fault::Frame),
        (with(2, 100), Fault::Overrun),
    ];
    for (batch, fault) in table {
        assert_eq!(lane().take(batch, MS), Err(fault));
    }
    let mut twice = lane();
    assert_eq!(twice.take(batch(1), MS), Ok(vec![]));
    assert_eq!(twice.take(batch(1), MS), Err(Fault::Gap { found: 1, expected: 2 }));
}

#[test]
fn credit_never_goes_back() {
    let mut a = lane();
    a.push(Class::Normal, frame(0)).unwrap();
    a.fill(MS).unwrap();
    a.take(LinkBatch { normal_credit: 64, ..batch(1) }, MS).unwrap();
    assert_eq!(a.take(LinkBatch { normal_credit: 63, ..batch(2) }, MS), Err(Fault::Credit));
}

proptest! {
    #[test]
    fn whatever_the_pace_of_both_sides_all_frames_arrive_once_in_order_and_windows_hold(
        steps in prop::collection::vec((0u8..4, 0usize..=100, any::<bool>()), 1..400),
    ) {
        let (mut a, mut b) = (lane(), lane());
        let (mut now, mut unread) = (Duration::ZERO, VecDeque::new());
        let (mut sent, mut got) = ([vec![], vec![]], [vec![], vec![]]);
        let mut next = 0u8;
        let mut turn = |a: &mut Lane, b: &mut Lane, unread: &mut VecDeque<_>, what: u8, now: Duration| {
            match what {
                1 => if let Some(batch) = a.fill(now) { unread.extend(b.take(batch, now).unwrap()) },
                2 => if let Some(batch) = b.fill(now) { assert_eq!(a.take(batch, now), Ok(vec![])) },
                _ => if let Some((class, payload)) = unread.pop_front() {
                    b.consumed(class, &payload);
                    got[class as usize].push(payload);
                },
            }
            for class in Class::ALL {
                let held = unread.iter().filter(|frame| frame.0 == class);
                let held: u64 = held.map(|(_, payload)| LinkConfig::credits(payload)).sum();
                assert!(held <= config().window_credits);
            }
        };
        for (what, size, urgent) in steps {
            now += MS;
            if what > 0 {
                turn(&mut a, &mut b, &mut unread, what, now);
                continue;
            }
            let class = if urgent { Class::Urgent } else { Class::Normal };
            let payload = Bytes::from(vec![next; size]);
            next = next.wrapping_add(1);
            if a.push(class, payload.clone()).is_ok() {
                sent[class as usize].push(payload);
            }
        }
        for _ in 0..400 {
            now += MS;
            [1, 3, 3, 3, 3, 2].into_iter().for_each(|what| turn(&mut a, &mut b, &mut unread, what, now));
        }
        prop_assert_eq!(sent, got);
    }
}
