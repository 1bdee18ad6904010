//! What is judged of whole worlds, here by the numbers and bytes that they come to.

use super::{
    Case, case,
    day::{C1, C2, content, say},
};
use crate::{
    promises::{bounds, copies, everyone_level, no_panic, nothing_left, one_owner, rot_is_named},
    world::gauges::Gauges,
};
use actors::config::Config;
use std::collections::BTreeMap;

const WORK: bounds::Work = bounds::Work {
    visits: 1,
    commands: 2,
    boots: 1,
    takeovers: 1,
    seconds_among_others: 20,
    reads: 24 + 2 * 8 + 464 + 400 + 2 * 64,
};
const PANICS: [&str; 3] =
    ["waggle_channel_panics_total", "waggle_slot_panics_total", "waggle_task_panics_total"];

fn counted(name: &'static str) -> Gauges {
    let gauges = Gauges::default();
    metrics::with_local_recorder(&gauges, || metrics::counter!(name).increment(1));
    gauges
}

fn late(day: &super::Day, client: usize, log: &str, tail: u64) -> Result<(), super::Violation> {
    let behind =
        everyone_level::behind(&day.oracle.book(), client, &BTreeMap::from([(log.to_owned(), tail)]));
    everyone_level::PROMISE.holds(behind.is_empty(), || behind.join(", "))
}

pub const CASES: &[Case] = &[
    case(&everyone_level::PROMISE, "somebody lacks the last event", |day| late(day, 0, C1, 14)),
    case(&everyone_level::PROMISE, "somebody has nothing of a channel", |day| late(day, 2, C2, 1)),
    case(&bounds::PROMISE, "a day costs one read too many", |_| {
        bounds::judge(bounds::Work { reads: WORK.reads + 1, ..WORK })
    }),
    case(&bounds::PROMISE, "what was just said is read from the store", |_| bounds::just_said(1)),
    case(&copies::PROMISE, "an event goes to one gateway twice", |_| copies::at_most(8, 7, 1)),
    case(&copies::PROMISE, "an event goes where nobody listens", |_| copies::none_for_nobody(1)),
    case(&nothing_left::PROMISE, "a session stays", |_| nothing_left::after_all_left(1, &[])),
    case(&no_panic::PROMISE, "a channel panics", |_| no_panic::caught(&counted(PANICS[0]), 0)),
    case(&no_panic::PROMISE, "a slot panics", |_| no_panic::caught(&counted(PANICS[1]), 0)),
    case(&no_panic::PROMISE, "a task panics", |_| no_panic::caught(&counted(PANICS[2]), 0)),
    case(&bounds::PROMISE, "a world takes more memory than it may", |_| bounds::memory((512 << 20) + 1)),
    case(&bounds::PROMISE, "more waits at a channel than has room", |_| {
        bounds::queues(&waited("channel", 13), &Config { channel_pending_max: 12, ..Config::default() })
    }),
    case(&bounds::PROMISE, "more waits at a slot than has room", |_| {
        bounds::queues(&waited("slot", 65), &Config { slot_pending_max: 64, ..Config::default() })
    }),
    case(&bounds::PROMISE, "a session asks more than may be under way", |_| {
        bounds::queues(&waited("session", 9), &Config { posts_in_flight_max: 8, ..Config::default() })
    }),
    case(&one_owner::PROMISE, "a log has more epochs than there were starts", |day| {
        let epoch = day.log(C1).last().expect("an event").epoch;
        one_owner::judge(&day.logs(), C1.split('/').next().unwrap_or_default(), epoch - 1)
    }),
    case(&rot_is_named::PROMISE, "a damaged disk says something else", |day| {
        let was = day.log(C1).clone();
        say(day.event(C1, 9), content("not alone"));
        rot_is_named::as_it_was(C1, &was, day.log(C1))
    }),
    case(&rot_is_named::PROMISE, "a damaged disk leaves something out", |day| {
        let was = day.log(C1).clone();
        day.log(C1).remove(3);
        rot_is_named::as_it_was(C1, &was, day.log(C1))
    }),
    case(&rot_is_named::PROMISE, "a damaged disk says something again", |day| {
        let was = day.log(C1).clone();
        day.log(C1).push(was[0].clone());
        rot_is_named::as_it_was(C1, &was, day.log(C1))
    }),
];

fn waited(queue: &'static str, most: u32) -> Gauges {
    let gauges = Gauges::default();
    let told = || metrics::gauge!("waggle_queue_peak", "queue" => queue).set(f64::from(most));
    metrics::with_local_recorder(&gauges, told);
    gauges
}

#[test]
fn what_is_just_allowed_breaks_nothing() {
    assert_eq!(bounds::judge(WORK), Ok(()));
    assert_eq!(bounds::just_said(0), Ok(()));
    let room = Config { channel_pending_max: 12, ..Config::default() };
    assert_eq!(bounds::queues(&waited("channel", 12), &room), Ok(()));
    assert_eq!(copies::at_most(14, 7, 2), Ok(()));
    assert_eq!(copies::none_for_nobody(0), Ok(()));
    assert_eq!(nothing_left::after_all_left(0, &[]), Ok(()));
    assert_eq!(no_panic::caught(&counted("waggle_events_total"), 0), Ok(()));
}

#[test]
fn a_damaged_disk_may_answer_a_part_before_it_names_the_damage() {
    let mut day = super::Day::good();
    let was = day.log(C1).clone();
    assert_eq!(rot_is_named::as_it_was(C1, &was, &was[..5]), Ok(()));
}
