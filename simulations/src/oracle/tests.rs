//! Every promise that the oracle judges, broken once.

use super::*;
use proto::v1::{Posted, event::Body};

const CHANNEL: &str = "C1";

fn event(seq: u64, key: &str) -> Event {
    let body = Some(Body::Posted(Posted::default()));
    Event { seq, us: 1000 + seq, epoch: 1, sender: "U1".into(), key: key.into(), body, ..Event::default() }
}

fn ack(seq: u64) -> Ack {
    Ack { channel: CHANNEL.into(), seq, us: 1000 + seq, ..Ack::default() }
}

/// Two posts, both acknowledged and shown to one client; `bend` makes of the log what a bad day would.
fn judged(bend: impl FnOnce(&mut Vec<Event>)) -> Result<(), Violation> {
    let oracle = Oracle::default();
    oracle.follows("ann", CHANNEL, 0)?;
    for (seq, key) in [(1, "a"), (2, "b")] {
        oracle.sent("U1", CHANNEL, key);
        oracle.acked(key, &ack(seq))?;
        oracle.shown("ann", CHANNEL, &event(seq, key))?;
    }
    let mut events = vec![event(1, "a"), event(2, "b")];
    bend(&mut events);
    let mut logs = Logs::default();
    logs.add(CHANNEL, events);
    oracle.verdict(&logs)
}

fn broken(bend: impl FnOnce(&mut Vec<Event>)) -> &'static str {
    judged(bend).expect_err("a broken promise").property
}

#[test]
fn a_good_run_is_praised() {
    assert_eq!(judged(|_| ()), Ok(()));
}

#[test]
fn each_bad_log_breaks_the_promise_one_would_name() {
    assert_eq!(broken(|events| drop(events.pop())), "acknowledged means kept");
    assert_eq!(broken(|events| drop(events.remove(0))), "a log is dense");
    assert_eq!(broken(|events| events[1].us = events[0].us), "times rise along a log");
    assert_eq!(broken(|events| events[0].epoch = 2), "epochs do not fall along a log");
    assert_eq!(broken(|events| events[1].key = "a".into()), "one place for one key");
    assert_eq!(broken(|events| events.push(event(3, "c"))), "nothing is in a log that nobody sent");
    assert_eq!(broken(|events| events[1].countable = 9), "what is delivered is in the log");
}

#[test]
fn a_client_that_is_shown_a_gap_or_resumed_elsewhere_is_noticed_at_once() {
    let oracle = Oracle::default();
    assert_eq!(oracle.follows("ann", CHANNEL, 4), Ok(()));
    assert_eq!(oracle.shown("ann", CHANNEL, &event(5, "a")), Ok(()));
    let gap = oracle.shown("ann", CHANNEL, &event(7, "b")).unwrap_err();
    assert_eq!(gap.property, "dense and in order for every client");
    assert_eq!(oracle.follows("ann", CHANNEL, 4).unwrap_err().property, "a client resumes from its cursor");
    assert_eq!(oracle.follows("ann", CHANNEL, 5), Ok(()));
}

#[test]
fn a_key_that_is_acknowledged_at_two_places_is_noticed_at_once() {
    let oracle = Oracle::default();
    oracle.sent("U1", CHANNEL, "a");
    assert_eq!((oracle.open(), oracle.acks()), (1, 0));
    assert_eq!(oracle.acked("a", &ack(1)), Ok(()));
    assert_eq!(oracle.acked("a", &ack(1)), Ok(()));
    assert_eq!(oracle.acked("a", &ack(2)).unwrap_err().property, "one place for one key");
    assert_eq!((oracle.open(), oracle.acks()), (0, 1));
}
