//! Tests of the receiver rule: whatever is lost, doubled or late, what comes out is dense.

use super::*;
use crate::command::Aside;
use crate::store::LogId;
use proptest::prelude::*;
use proto::id::{ConversationId, WorkspaceId};
use proto::v1::Event;

fn events(seqs: impl IntoIterator<Item = u64>) -> Vec<Arc<Delivery>> {
    let id = LogId::new(WorkspaceId::parse("T1").unwrap(), ConversationId::parse("C1").unwrap());
    let event = |seq| Event { seq, ..Event::default() };
    seqs.into_iter().map(|seq| Arc::new(Delivery::new(id.clone(), event(seq), Aside::default()))).collect()
}

fn seqs(arrived: &Arrived) -> Vec<u64> {
    arrived.ready.iter().map(|delivery| delivery.event.seq).collect()
}

fn started(tail: u64) -> Order {
    let mut order = Order::default();
    order.start(tail);
    order
}

#[test]
fn the_next_passes_an_old_one_is_dropped_a_later_one_waits_and_the_gap_is_asked_for_once() {
    let mut order = started(5);
    assert_eq!(seqs(&order.arrive(&events([6, 7]))), [6, 7]);
    assert!(order.arrive(&events([5, 6, 7])).ready.is_empty());
    let gap = order.arrive(&events([10]));
    assert_eq!((seqs(&gap), gap.missing_after), (vec![], Some(7)));
    let wider = order.arrive(&events([11, 9]));
    assert_eq!((seqs(&wider), wider.missing_after), (vec![], None), "one question at a time");
    let mended = order.repaired(Some((events([8]), 11)));
    assert_eq!((seqs(&mended), mended.missing_after, order.last()), (vec![8, 9, 10, 11], None, 11));
}

#[test]
fn a_lost_last_event_is_found_by_the_beacon() {
    let mut order = started(5);
    assert_eq!(order.tail(5).missing_after, None);
    assert_eq!(order.tail(7).missing_after, Some(5));
    assert_eq!(seqs(&order.repaired(Some((events([6, 7]), 7)))), [6, 7]);
    assert_eq!(order.tail(7).missing_after, None);
}

#[test]
fn events_that_overtake_the_subscriptions_answer_begin_the_log_for_us() {
    let mut order = Order::default();
    assert_eq!(order.tail(9).missing_after, None, "not followed yet");
    assert_eq!(seqs(&order.arrive(&events([10, 11]))), [10, 11]);
    order.start(11);
    assert_eq!((order.last(), seqs(&order.arrive(&events([12])))), (11, vec![12]));
}

#[test]
fn what_retention_dropped_is_skipped() {
    let mut order = started(5);
    assert_eq!(order.tail(9000).missing_after, Some(5));
    let rest = order.repaired(Some((events(8193..=8200), 9000)));
    assert_eq!((seqs(&rest), rest.missing_after), ((8193..=8200).collect(), Some(8200)));
}

#[test]
fn a_repair_that_failed_is_tried_again_and_one_that_found_nothing_waits_for_news() {
    let mut order = started(5);
    assert_eq!(order.tail(7).missing_after, Some(5));
    assert_eq!(order.repaired(None).missing_after, Some(5));
    assert_eq!(order.repaired(Some((Vec::new(), 5))).missing_after, None, "it would go round and round");
    assert_eq!(order.tail(7).missing_after, Some(5));
}

#[test]
fn a_gap_holds_a_bounded_number_of_events() {
    let mut order = started(0);
    assert_eq!(order.arrive(&events(2..=5000)).missing_after, Some(0));
    assert_eq!(order.held.len(), HELD_MAX);
    let first = order.repaired(Some((events(1..=1000), 5000)));
    assert_eq!((seqs(&first).len(), first.missing_after), (1000, Some(1000)));
    assert!(order.held.is_empty(), "what has passed is not held");
}

/// What happens on the way from an owner to a gateway.
#[derive(Debug, Clone)]
enum Way {
    /// So many new events are appended; the live batch arrives.
    Arrives(u64),
    /// So many new events are appended; the live batch is lost.
    Lost(u64),
    /// A batch from before arrives once more, or late: so far back, so many.
    Late(u64, u64),
    /// A tail beacon.
    Beacon,
    /// The question that is open is answered with at most so many events.
    Answered(usize),
    /// The question that is open finds no answer.
    Unanswered,
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        3 => (1..200u64).prop_map(Way::Arrives),
        2 => (1..200u64).prop_map(Way::Lost),
        2 => (0..500u64, 1..300u64).prop_map(|(back, count)| Way::Late(back, count)),
        1 => Just(Way::Beacon),
        3 => (1..400usize).prop_map(Way::Answered),
        1 => Just(Way::Unanswered),
    ]
}

/// A gateway's view of a log, and the log.
struct Scene {
    order: Order,
    tail: u64,
    passed: Vec<u64>,
    asked: Option<u64>,
}

impl Scene {
    fn goes(&mut self, way: Way) {
        let arrived = match way {
            Way::Arrives(count) => {
                self.tail += count;
                self.order.arrive(&events(self.tail - count + 1..=self.tail))
            }
            Way::Lost(count) => {
                self.tail += count;
                return;
            }
            Way::Late(back, count) => {
                let from = self.tail.saturating_sub(back).max(1);
                self.order.arrive(&events(from..=(from + count - 1).min(self.tail)))
            }
            Way::Beacon => self.order.tail(self.tail),
            Way::Answered(limit) => {
                let Some(after) = self.asked.take() else { return };
                let found = events((after + 1..=self.tail).take(limit));
                self.order.repaired(Some((found, self.tail)))
            }
            Way::Unanswered => {
                if self.asked.take().is_none() {
                    return;
                }
                self.order.repaired(None)
            }
        };
        self.passed.extend(seqs(&arrived));
        if let Some(after) = arrived.missing_after {
            assert_eq!(self.asked.replace(after), None, "two questions at a time");
        }
        assert!(self.order.held.len() <= HELD_MAX);
    }
}

proptest! {
    #[test]
    fn whatever_is_lost_doubled_or_late_what_passes_is_dense_and_complete(
        tail in 1..1000u64,
        ways in prop::collection::vec(way(), 0..60),
    ) {
        let mut scene = Scene { order: started(tail), tail, passed: Vec::new(), asked: None };
        ways.into_iter().for_each(|way| scene.goes(way));
        // The weather clears: the owner's next beacon, and answers as long as there are questions.
        scene.goes(Way::Beacon);
        while scene.asked.is_some() {
            scene.goes(Way::Answered(300));
        }
        prop_assert_eq!(scene.passed, (tail + 1..=scene.tail).collect::<Vec<_>>());
    }
}

#[test]
fn an_event_of_an_earlier_subscription_does_not_hide_what_followed_it() {
    let mut order = Order::default();
    assert_eq!(seqs(&order.arrive(&events([24]))), [24]);
    order.start(30);
    assert_eq!((order.last(), order.tail(30).missing_after), (24, Some(24)));
}
