//! The outbox: what is sent again and what is not.

use super::*;
use proto::v1;

fn post(key: &str) -> Command {
    Command::Post(v1::Post { key: key.to_owned(), ..Default::default() })
}

fn range() -> Command {
    Command::Range(v1::Range::default())
}

fn ids(outbox: &mut Outbox<&'static str>, in_flight_max: usize) -> Vec<u64> {
    std::iter::from_fn(|| outbox.next(in_flight_max)).map(|frame| frame.id).collect()
}

#[test]
fn no_more_than_allowed_are_in_flight_and_an_answer_lets_the_next_go() {
    let mut outbox = Outbox::default();
    for key in ["a", "b", "c", "d"] {
        outbox.push(post(key), Some(key));
    }
    assert_eq!(ids(&mut outbox, 2), [1, 2]);
    assert_eq!(outbox.answered(1).and_then(|w| w.waiter), Some("a"));
    assert_eq!(ids(&mut outbox, 2), [3]);
    assert!(outbox.answered(1).is_none(), "an answer counts once");
    assert_eq!(outbox.len(), 3);
}

#[test]
fn after_a_cut_what_has_a_key_goes_again_in_order_and_what_has_none_is_given_up() {
    let mut outbox = Outbox::default();
    outbox.push(post("a"), Some("a"));
    outbox.push(range(), Some("range"));
    outbox.push(post(""), Some("keyless"));
    outbox.push(post("b"), Some("b"));
    assert_eq!(ids(&mut outbox, 3), [1, 2, 3]);
    outbox.push(range(), Some("unsent range"));
    assert_eq!(outbox.cut(), ["range", "keyless"]);
    assert_eq!(ids(&mut outbox, 9), [1, 4, 5], "same numbers, same keys, what was never sent included");
    assert_eq!(outbox.resent(), 1);
}

#[test]
fn a_parked_command_takes_no_place_in_flight_and_goes_again_once() {
    let mut outbox = Outbox::default();
    outbox.push(post("a"), Some("a"));
    outbox.push(post("b"), Some("b"));
    assert_eq!(ids(&mut outbox, 1), [1]);
    assert!(outbox.park(1));
    assert_eq!(ids(&mut outbox, 1), [2]);
    outbox.unpark(1);
    outbox.unpark(1);
    assert_eq!(ids(&mut outbox, 9), [1]);
    assert_eq!(outbox.resent(), 1);
}

#[test]
fn what_has_no_key_is_not_parked() {
    let mut outbox = Outbox::default();
    outbox.push(post(""), Some("keyless"));
    assert_eq!(ids(&mut outbox, 9), [1]);
    assert!(!outbox.park(1));
    assert!(!outbox.park(77), "nor is what does not exist");
}

#[test]
fn typing_is_sent_without_a_number_and_forgotten() {
    let mut outbox: Outbox<&str> = Outbox::default();
    outbox.push(Command::Typing(v1::Typing::default()), None);
    assert_eq!(ids(&mut outbox, 0), [0]);
    assert_eq!(outbox.len(), 0);
}

#[test]
fn at_the_end_everybody_who_waits_is_told() {
    let mut outbox = Outbox::default();
    outbox.push(post("a"), Some("a"));
    outbox.push(range(), None);
    outbox.push(post("b"), Some("b"));
    assert_eq!(ids(&mut outbox, 1), [1]);
    assert_eq!(outbox.end(), ["a", "b"]);
    assert_eq!(outbox.len(), 0);
}
