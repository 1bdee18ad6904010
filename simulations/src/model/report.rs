//! Running the model and saying what came of it.

use super::cases::{Case, Expected};
use super::config::Config;
use super::ownership::Ownership;
use super::properties;
use super::variants::Variant;
use stateright::{Checker, HasDiscoveries, Model};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// What a run of the model found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every reachable state was visited; all invariants hold and everything due was reached.
    Holds,
    /// An invariant breaks.
    Breaks {
        /// Its name.
        property: &'static str,
        /// The shortest way there, one sentence a step.
        steps: Vec<String>,
        /// Other invariants that break within as many steps.
        also: Vec<&'static str>,
    },
    /// Every reachable state was visited and all invariants hold, but something due cannot happen.
    Misses {
        /// Its name.
        property: &'static str,
    },
}

/// One run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The configuration's name.
    pub config: &'static str,
    /// The rules in force.
    pub variant: Variant,
    /// Distinct states visited until the verdict.
    pub states: usize,
    /// Wall time, the search for the shortest way included.
    pub elapsed: Duration,
    /// What it found.
    pub verdict: Verdict,
    /// What it should have found.
    pub expected: Expected,
}

impl Report {
    /// Whether the right rules hold, or a wrong one fails by the property that one would name.
    pub fn is_as_expected(&self) -> bool {
        match (&self.verdict, self.expected) {
            (Verdict::Holds, Expected::Holds) => true,
            (Verdict::Breaks { property, .. }, Expected::Breaks(name)) => *property == name,
            (Verdict::Misses { property }, Expected::Misses(name)) => *property == name,
            _ => false,
        }
    }

    /// The counterexample, one sentence a step; empty where there is none.
    pub fn steps(&self) -> &[String] {
        match &self.verdict {
            Verdict::Breaks { steps, .. } => steps,
            _ => &[],
        }
    }
}

impl fmt::Display for Report {
    /// One line of a table: configuration, rules, states, seconds if a clock ran, verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = format!("{:?}", self.variant);
        write!(f, "{:<10} {variant:<18} {:>9} states  ", self.config, self.states)?;
        if !self.elapsed.is_zero() {
            write!(f, "{:>6.2} s  ", self.elapsed.as_secs_f64())?;
        }
        match &self.verdict {
            Verdict::Holds => write!(f, "holds")?,
            Verdict::Breaks { property, steps, .. } => write!(f, "{} steps break: {property}", steps.len())?,
            Verdict::Misses { property } => write!(f, "never happens: {property}")?,
        }
        if self.is_as_expected() { Ok(()) } else { write!(f, "  UNEXPECTED, should be {}", self.expected) }
    }
}

/// Explores a case breadth first: to the end, or until the invariant breaks that is expected to (any, where
/// none is). `clock` is the reader's: time enters here as an argument, and only the table shows it.
pub fn check(case: &Case, clock: &dyn Fn() -> Duration) -> Report {
    let start = clock();
    let config = case.config;
    let (threads, finish) = match case.expected {
        Expected::Breaks(property) => (1, HasDiscoveries::AnyOf(BTreeSet::from([property]))),
        _ => (2, HasDiscoveries::AnyFailures),
    };
    let checker = Ownership { config }.checker().threads(threads).finish_when(finish).spawn_bfs().join();
    let discoveries = checker.discoveries();
    let broken = |name: &&str| invariants(&config).contains(name) && discoveries.contains_key(*name);
    let named = match case.expected {
        Expected::Breaks(property) => Some(property).filter(broken),
        _ => None,
    };
    let verdict = match named.or_else(|| invariants(&config).into_iter().find(|name| broken(name))) {
        Some(property) => shortest(config, property, discoveries[property].clone().into_actions().len()),
        None => match config.reaches.iter().find(|name| !discoveries.contains_key(*name)) {
            Some(property) => Verdict::Misses { property },
            None => Verdict::Holds,
        },
    };
    Report {
        config: config.name,
        variant: config.variant,
        states: checker.unique_state_count(),
        elapsed: clock().saturating_sub(start),
        verdict,
        expected: case.expected,
    }
}

/// The checker looks only now and then whether it is done, and a later find replaces an earlier one. So
/// explore everything within fewer and fewer steps until the property no longer breaks; the search before
/// that has the shortest way.
fn shortest(config: Config, property: &'static str, found_in: usize) -> Verdict {
    let within = |steps: usize| Ownership { config }.checker().target_max_depth(steps + 2).spawn_bfs().join();
    let mut steps_max = found_in;
    let mut best = within(steps_max);
    while steps_max > 0 {
        let fewer = within(steps_max - 1);
        if !fewer.discoveries().contains_key(property) {
            break;
        }
        (best, steps_max) = (fewer, steps_max - 1);
    }
    let mut discoveries = best.discoveries();
    let path = discoveries.remove(property).expect("the search within as many steps finds it again");
    let also = invariants(&config).into_iter().filter(|name| discoveries.contains_key(name)).collect();
    Verdict::Breaks { property, steps: path.into_actions().iter().map(ToString::to_string).collect(), also }
}

/// Names of what must always hold.
fn invariants(config: &Config) -> Vec<&'static str> {
    let all = properties::of(config).into_iter();
    all.filter(|property| property.expectation.discovery_is_failure()).map(|property| property.name).collect()
}
