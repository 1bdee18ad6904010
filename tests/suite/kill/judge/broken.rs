//! Every promise that is judged, broken once.

use super::*;
use proto::v1::Posted;

fn posted(text: &str) -> Body {
    let content = Some(Content { text: text.into(), ..Content::default() });
    Body::Posted(Posted { content, ..Posted::default() })
}

fn event(seq: u64, key: &str) -> Event {
    let (sender, key, body) = ("U1".into(), key.to_owned(), Some(posted(&format!("text {key}"))));
    Event { seq, us: 1000 + seq, epoch: 1, sender, key, body, ..Event::default() }
}

fn entry(seq: u64, key: &str) -> Acked {
    let what = What::Post { text: format!("text {key}"), thread_us: 0, broadcast: false };
    let (sender, channel) = ("U1".into(), "C1".into());
    Acked { lane: 0, sender, channel, key: key.into(), what, seq, us: 1000 + seq }
}

/// Judges a log of three posts after `bend` has made of it, and of the acks, what a bad day would.
fn judged(bend: impl FnOnce(&mut Vec<Event>, &mut Vec<Acked>)) -> Result<()> {
    let mut events = vec![event(5, "a"), event(6, "b"), event(7, "c")];
    let mut acked = vec![entry(5, "a"), entry(6, "b"), entry(7, "c")];
    let seen = events.clone();
    bend(&mut events, &mut acked);
    is_sound(&events)?;
    is_kept(&Logs::from([("C1".to_owned(), events.clone())]), &acked)?;
    rises(&acked)?;
    same(&seen, &events)
}

fn broken(bend: impl FnOnce(&mut Vec<Event>, &mut Vec<Acked>)) -> String {
    judged(bend).expect_err("a broken promise").to_string()
}

#[test]
fn a_good_run_is_praised_also_when_a_message_was_deleted_since() {
    judged(|_, _| ()).expect("nothing is wrong");
    judged(|events, _| actors::store::redact(&mut events[1])).expect("a deletion takes the content away");
}

#[test]
fn each_bad_log_breaks_the_promise_one_would_name() {
    let cases = [
        (broken(|events, _| drop(events.pop())), "lost"),
        (broken(|events, _| drop(events.remove(1))), "comes after"),
        (broken(|events, _| events[1].us = events[0].us), "has us"),
        (broken(|events, _| events[1].epoch = 0), "has epoch"),
        (broken(|events, _| events[1].key = "a".into()), "a second time"),
        (broken(|events, _| events[1].body = Some(posted("another text"))), "lost"),
        (broken(|events, _| events.push(event(8, "d"))), "doubled"),
        (broken(|_, acked| acked.swap(0, 1)), "reordered"),
        (broken(|events, _| events[2].countable = 9), "was shown"),
    ];
    for (why, word) in cases {
        assert!(why.contains(word), "{word}: {why}");
    }
}

#[test]
fn a_page_that_differs_from_the_fold_is_named() {
    let fold = Fold::of(&[event(5, "a"), event(6, "b")]).history();
    equal(&fold, &fold).expect("the same");
    assert!(equal(&fold[..1], &fold).is_err() && equal(&fold[1..], &fold).is_err());
}
