//! The receiver rule against losses, repetitions and reordering.

use super::*;
use proto::v1::ConversationJoined;

fn event(seq: u64) -> Event {
    Event { seq, us: seq, ..Default::default() }
}

fn events(seqs: impl IntoIterator<Item = u64>) -> Vec<Event> {
    seqs.into_iter().map(event).collect()
}

fn started() -> Receiver {
    let mut receiver = Receiver::default();
    receiver.start("C1", 0);
    receiver
}

fn applied(steps: &[Step]) -> Vec<u64> {
    let seq = |step: &Step| match step {
        Step::Apply(_, event) => Some(event.seq),
        Step::Ask { .. } => None,
    };
    steps.iter().filter_map(seq).collect()
}

fn asks(steps: &[Step]) -> Vec<(u64, u32)> {
    let ask = |step: &Step| match step {
        Step::Apply(..) => None,
        Step::Ask { after, limit, .. } => Some((*after, *limit)),
    };
    steps.iter().filter_map(ask).collect()
}

#[test]
fn the_next_is_applied_and_the_known_is_dropped() {
    let mut receiver = started();
    assert_eq!(applied(&receiver.deliver("C1", events([1, 2]))), [1, 2]);
    assert_eq!(receiver.deliver("C1", events([1, 2])), []);
    assert_eq!(receiver.duplicates(), 2);
    assert_eq!(receiver.last("C1"), Some(2));
}

#[test]
fn a_log_that_ends_before_the_cursor_is_gone_on_with_where_it_ends() {
    let mut receiver = started();
    receiver.deliver("C1", events([1, 2, 3, 5]));
    receiver.ends("C1", 7);
    assert_eq!(receiver.last("C1"), Some(3));
    receiver.ends("C1", 1);
    assert_eq!(applied(&receiver.deliver("C1", events([2, 3]))), [2, 3]);
}

#[test]
fn a_gap_holds_what_is_behind_it_and_is_asked_for_once() {
    let mut receiver = started();
    let steps = receiver.deliver("C1", events([1, 4, 5]));
    assert_eq!((applied(&steps), asks(&steps)), (vec![1], vec![(1, 2)]));
    assert_eq!(receiver.deliver("C1", events([7])), [], "one question at a time");
    let steps = receiver.page("C1", events([2, 3]), 7);
    assert_eq!((applied(&steps), asks(&steps)), (vec![2, 3, 4, 5], vec![(5, 1)]), "then the next gap");
    assert_eq!(applied(&receiver.page("C1", events([6]), 7)), [6, 7]);
}

#[test]
fn a_beacon_shows_that_the_last_event_was_lost() {
    let mut receiver = started();
    receiver.deliver("C1", events([1, 2]));
    assert_eq!(asks(&receiver.beacon("C1", 2)), []);
    receiver.deliver("C1", events([2]));
    assert_eq!(receiver.beacon("C1", 3), [], "events came just now: the rest may be on its way");
    assert_eq!(asks(&receiver.beacon("C1", 3)), [(2, 1)]);
    assert_eq!(receiver.beacon("C1", 3), [], "it was asked already");
    assert_eq!(receiver.beacon("C9", 3), [], "a channel that is not followed");
}

#[test]
fn a_long_replay_is_not_asked_for_while_it_is_coming() {
    let mut receiver = started();
    receiver.deliver("C1", events([1]));
    for hundred in 0..10 {
        assert_eq!(receiver.beacon("C1", 100_000), []);
        let steps = receiver.deliver("C1", events(2 + 100 * hundred..102 + 100 * hundred));
        assert_eq!((applied(&steps).len(), asks(&steps)), (100, vec![]));
    }
}

#[test]
fn no_more_than_256_are_held_and_the_rest_comes_by_ranges() {
    let mut receiver = started();
    let steps = receiver.deliver("C1", events(2..=600));
    // The first delivered event of a known channel sets nothing: 1 is missing.
    assert_eq!((applied(&steps), asks(&steps)), (vec![], vec![(0, 1)]));
    let steps = receiver.page("C1", events([1]), 600);
    assert_eq!(applied(&steps), (1..=257).collect::<Vec<_>>());
    assert_eq!(asks(&steps), [(257, 343)], "what was not held");
    assert_eq!(receiver.last("C1"), Some(1 + HELD_MAX as u64));
}

#[test]
fn a_question_is_never_for_more_than_a_thousand() {
    let mut receiver = started();
    assert_eq!(asks(&receiver.beacon("C1", 100_000)), [(0, 1000)]);
    let steps = receiver.page("C1", events(1..=1000), 100_000);
    assert_eq!(asks(&steps), [(1000, 1000)]);
}

#[test]
fn after_an_empty_page_nothing_is_asked_until_the_channel_moves() {
    let mut receiver = started();
    assert_eq!(asks(&receiver.beacon("C1", 5)), [(0, 5)]);
    assert_eq!(receiver.page("C1", vec![], 5), []);
    assert_eq!(asks(&receiver.beacon("C1", 5)), [(0, 5)]);
    receiver.unasked("C1");
    assert_eq!(asks(&receiver.beacon("C1", 5)), [(0, 5)], "a refused question may be asked again");
}

#[test]
fn skip_to_goes_forward_and_frees_what_was_held() {
    let mut receiver = started();
    receiver.deliver("C1", events([1, 50, 51]));
    assert_eq!(applied(&receiver.skip_to("C1", 50)), [50, 51]);
    assert_eq!(receiver.skip_to("C1", 10), [], "never back");
    assert_eq!(receiver.last("C1"), Some(51));
}

#[test]
fn a_channel_begins_where_its_first_delivery_does() {
    let mut receiver = Receiver::default();
    assert_eq!(applied(&receiver.deliver("C1", events([41, 42]))), [41, 42]);
    assert_eq!(receiver.last("C2"), None);
    receiver.start("C1", 7);
    assert_eq!(receiver.last("C1"), Some(42), "a known channel does not begin again");
}

#[test]
fn a_conversation_joined_begins_with_the_join() {
    let mut receiver = Receiver::default();
    let joined = ConversationJoined { channel: "C1".to_owned(), seq: 9, kind: 1 };
    let body = Some(Body::ConversationJoined(joined));
    receiver.deliver("user:U1", vec![Event { body, ..event(1) }]);
    assert_eq!(receiver.last("C1"), Some(8));
    assert_eq!(asks(&receiver.deliver("C1", events([10]))), [(8, 1)], "the join itself is missing");
}

#[test]
fn joining_again_skips_what_was_said_in_between() {
    let mut receiver = started();
    receiver.deliver("C1", events([1, 2, 3]));
    let joined = |seq| {
        let body = Body::ConversationJoined(ConversationJoined { channel: "C1".to_owned(), seq, kind: 1 });
        Event { body: Some(body), ..event(seq) }
    };
    receiver.start("user:U1", 8);
    receiver.deliver("user:U1", vec![joined(9)]);
    assert_eq!(applied(&receiver.deliver("C1", events([9]))), [9]);
    receiver.start("user:U2", 1);
    receiver.deliver("user:U2", vec![joined(2)]);
    assert_eq!(receiver.last("C1"), Some(9), "an old join moves nothing back");
}

#[test]
fn after_a_cut_the_server_begins_at_the_cursors_again() {
    let mut receiver = started();
    receiver.deliver("C1", events([1, 3]));
    receiver.cut();
    assert_eq!(receiver.cursors(), [Cursor { channel: "C1".to_owned(), seq: 1 }]);
    assert_eq!(applied(&receiver.deliver("C1", events([2, 3]))), [2, 3]);
    assert_eq!(receiver.duplicates(), 0, "what was held does not count as seen");
}

#[test]
fn the_last_possible_seq_does_not_overflow() {
    let mut receiver = started();
    assert_eq!(asks(&receiver.deliver("C1", events([u64::MAX]))), [(0, 1000)]);
    assert_eq!(applied(&receiver.skip_to("C1", u64::MAX)), [u64::MAX]);
    assert_eq!(receiver.deliver("C1", events([u64::MAX, 0])), []);
}

/// Every order in which a network without promises may bring ten events, sampled: each is dropped, doubled or
/// late by the steps of a small generator. Whatever happens, events are applied in order, and answering the
/// questions brings all.
#[test]
fn whatever_is_lost_doubled_or_late_everything_is_applied_once_in_order() {
    for seed in 0..2000u64 {
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % below
        };
        let mut wire: Vec<u64> = (1..=10).filter(|_| draw(4) > 0).collect();
        for _ in 0..draw(6) {
            let (from, to) = (draw(10) as usize, draw(10) as usize);
            if from < wire.len() && to < wire.len() {
                wire.swap(from, to);
                wire.push(wire[from]);
            }
        }
        let mut receiver = started();
        let mut steps = Vec::new();
        for seq in wire {
            steps.extend(receiver.deliver("C1", events([seq])));
        }
        steps.extend(receiver.beacon("C1", 10));
        steps.extend(receiver.beacon("C1", 10));
        let mut answered = 0;
        while let Some((after, limit)) = asks(&steps).get(answered).copied() {
            answered += 1;
            let to = 10.min(after + u64::from(limit));
            steps.extend(receiver.page("C1", events(after + 1..=to), 10));
        }
        assert_eq!(applied(&steps), (1..=10).collect::<Vec<_>>(), "seed {seed}");
    }
}
