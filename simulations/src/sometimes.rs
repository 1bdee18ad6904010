//! What must happen sometimes. A fault that never strikes, a branch that is never taken, a refusal that nobody ever
//! hears is not tested, however many seeds are green. The list is made from the enums themselves.

use crate::{faults::KINDS, plan::Do};
use cluster::host::{FaultPoint, Rule};
use proto::refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet};

/// Seeds within which everything must have happened at least once.
pub const WITHIN_SEEDS: u64 = 200;

/// Points that no single owner of a channel can reach: they wait for channels that move between slots and nodes.
const WITH_MANY_NODES: [FaultPoint; 1] = [FaultPoint::RaiseEpoch];
/// Points that only logs of more than two buckets reach: the suite's native tests go there, a simulated day does not.
const WITH_OLD_LOGS: [FaultPoint; 1] = [FaultPoint::OldKeysRead];
/// Points that one day in a hundred passes, too few to ask for in two hundred: since a resend reads its claim first, an
/// owner that was replaced is seldom told so by a refusal. The model and the fence's own tests go there.
const SELDOM_PASSED: [FaultPoint; 1] = [FaultPoint::VerifyClaim];
/// Of the refusals that bring their own names along, the one that stands for all of them. Of the others,
/// [`Refusal::CODES`], simulated days reach every one; one that they could not would be exempt here, as points are.
const NAMED: &str = "not_in_channel";
/// Limits and detours of the product, by the metrics that count them.
const METRICS: [&str; 13] = [
    "waggle_channel_busy_total",
    "waggle_sessions_lagging_total",
    "waggle_session_window_full_total",
    "waggle_relay_gaps_total",
    "waggle_relay_overflow_total",
    "waggle_retries_found_total",
    "waggle_rows_loaded_total",
    "waggle_append_resends_total",
    "waggle_channel_reloads_total",
    "waggle_replay_store_reads_total",
    "waggle_node_replaced_total",
    "waggle_store_reopened_total",
    "waggle_slots_taken_total",
];

/// Everything that must happen, by the name of its count.
pub fn all() -> BTreeSet<String> {
    let faults = KINDS.iter().map(|kind| format!("fault.{}", kind.name));
    let deeds = Do::NAMES.iter().map(|name| format!("deed.{name}"));
    let elsewhere = |point: &&FaultPoint| {
        [&WITH_MANY_NODES, &WITH_OLD_LOGS, &SELDOM_PASSED].iter().any(|exempt| exempt.contains(point))
    };
    let points = FaultPoint::ALL.iter().filter(|point| !elsewhere(point));
    let points = points.map(|point| format!("point.{}", point.name()));
    let rules = Rule::ALL.iter().map(|rule| format!("rule.{}", rule.name()));
    let refusals = Refusal::CODES.into_iter().chain([NAMED]).map(|code| format!("refusal.{code}"));
    let metrics = METRICS.iter().map(|name| format!("metric.{name}"));
    faults.chain(deeds).chain(points).chain(rules).chain(refusals).chain(metrics).collect()
}

/// Counts by rule, from those of the points that are its branches.
pub fn rules(points: &BTreeMap<FaultPoint, u64>) -> BTreeMap<String, u64> {
    let mut rules = BTreeMap::new();
    for (point, count) in points {
        if let Some(rule) = point.rule() {
            *rules.entry(format!("rule.{}", rule.name())).or_default() += count;
        }
    }
    rules
}

/// Watches a run of seeds, in order.
#[derive(Debug, Default)]
pub struct Watch {
    seeds: u64,
    seen: BTreeSet<String>,
}

impl Watch {
    /// The counts of the next seed. Every [`WITHIN_SEEDS`] seeds: what has not happened in any of them.
    pub fn next<'a>(&mut self, counts: impl Iterator<Item = (&'a str, u64)>) -> Option<Vec<String>> {
        self.seen.extend(counts.filter(|(_, count)| *count > 0).map(|(name, _)| name.to_owned()));
        self.seeds += 1;
        if self.seeds < WITHIN_SEEDS {
            return None;
        }
        self.seeds = 0;
        let seen = std::mem::take(&mut self.seen);
        Some(all().difference(&seen).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_in_two_hundred_seeds_is_named() {
        let mut watch = Watch::default();
        let all = all();
        for seed in 0..WITHIN_SEEDS {
            let counts = all.iter().filter(|name| *name != "fault.storm").map(|name| (name.as_str(), 1));
            let missing = watch.next(counts);
            assert_eq!(missing, (seed + 1 == WITHIN_SEEDS).then(|| vec!["fault.storm".to_owned()]));
        }
        assert_eq!(watch.next(std::iter::empty()), None, "a new window begins");
    }

    #[test]
    fn every_rule_is_listed_and_every_fault_point_too_or_said_to_wait_for_many_nodes() {
        let all = all();
        let points = FaultPoint::ALL.iter().filter(|point| all.contains(&format!("point.{}", point.name())));
        assert_eq!(
            points.count() + WITH_MANY_NODES.len() + WITH_OLD_LOGS.len() + SELDOM_PASSED.len(),
            FaultPoint::ALL.len()
        );
        let rules = Rule::ALL.iter().filter(|rule| all.contains(&format!("rule.{}", rule.name())));
        assert_eq!(rules.count(), Rule::ALL.len());
    }
}
