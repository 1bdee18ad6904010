//! Every promise can be broken: a good day is praised, and each bend of it is filed under the promise that it breaks.

mod at_once;
mod at_the_end;
mod day;
mod from_logs;
mod from_shown;
mod views;

use super::{ALL, Promise, alive, answered, everyone_level};
use crate::world::report::Violation;
use day::{C1, C2, Day};
use std::collections::{BTreeMap, BTreeSet};

/// A good day with one thing bent.
struct Case {
    /// The promise that is broken.
    promise: &'static Promise,
    /// What is bent.
    how: &'static str,
    /// Bends it; what is found wrong at once is the verdict, else what is found at the end of the day.
    bend: fn(&mut Day) -> Result<(), Violation>,
}

const fn case(
    promise: &'static Promise,
    how: &'static str,
    bend: fn(&mut Day) -> Result<(), Violation>,
) -> Case {
    Case { promise, how, bend }
}

impl Case {
    fn verdict(&self) -> Result<(), Violation> {
        let mut day = Day::good();
        (self.bend)(&mut day)?;
        day.judge()
    }
}

fn cases() -> impl Iterator<Item = &'static Case> {
    [at_once::CASES, at_the_end::CASES, from_logs::CASES, from_shown::CASES, views::CASES]
        .into_iter()
        .flatten()
}

#[test]
fn a_good_day_is_praised() {
    let day = Day::good();
    assert_eq!(day.judge(), Ok(()));
    let tails = BTreeMap::from([C1, C2].map(|log| (log.to_owned(), day.logs().tail(log))));
    for client in [0, 1] {
        assert_eq!(everyone_level::behind(&day.oracle.book(), client, &tails), Vec::<String>::new());
    }
    assert_eq!((day.oracle.open(), day.oracle.acks()), (Vec::new(), 16));
}

#[test]
fn whatever_is_bent_is_filed_under_the_promise_that_it_breaks() {
    let wrong = cases().filter_map(|case| {
        let verdict = case.verdict();
        let right = verdict.as_ref().is_err_and(|found| found.property == case.promise.name);
        (!right).then(|| format!("{}: {} was judged {verdict:?}", case.promise.name, case.how))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_promise_was_broken() {
    let broken: BTreeSet<&str> = cases().map(|case| case.promise.name).collect();
    // Weather waits for the answers itself: what is open when its patience ends breaks this one. The world sees by
    // itself that time stands still (`world/life.rs`).
    let elsewhere = [answered::PROMISE.name, alive::PROMISE.name];
    let unbroken = ALL.iter().map(|promise| promise.name).filter(|name| !elsewhere.contains(name));
    let unbroken: Vec<&str> = unbroken.filter(|name| !broken.contains(name)).collect();
    assert_eq!(unbroken, Vec::<&str>::new());
    assert!(broken.iter().all(|name| ALL.iter().any(|promise| promise.name == *name)), "{broken:?}");
}

#[test]
fn promises_have_names_of_their_own() {
    let names: BTreeSet<&str> = ALL.iter().map(|promise| promise.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn what_nobody_answered_stays_open() {
    let mut day = Day::good();
    day.sends(C1, "U1", "k-open", &day::post("anybody?"));
    assert_eq!(day.oracle.open(), ["k-open"]);
}
