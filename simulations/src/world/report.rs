//! What a run found.

use cluster::host::FaultPoint;
use std::{collections::BTreeMap, time::Duration};

/// Count of a run that follows a plan.
pub const PLANNED: &str = "plans";

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{property}: {detail}")]
pub struct Violation {
    /// Which promise, in a few words.
    pub property: &'static str,
    /// How it was broken, for a reader who was not there.
    pub detail: String,
}

impl Violation {
    /// A broken promise.
    pub fn new(property: &'static str, detail: impl Into<String>) -> Self {
        Self { property, detail: detail.into() }
    }
    /// `Err` with this violation unless `holds`.
    pub fn unless(holds: bool, property: &'static str, detail: impl FnOnce() -> String) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(property, detail())) }
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Hash of every event: the same for the same seed and program, in every process.
    pub hash: u128,
    /// Number of events.
    pub events: u64,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// Named counts.
    pub counters: BTreeMap<String, u64>,
    /// How often each fault point of the product was passed.
    pub points: BTreeMap<FaultPoint, u64>,
    /// The product's own metrics, labels summed up.
    pub gauges: BTreeMap<String, u64>,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// The last events, one a line.
    pub tail: Vec<String>,
}

impl Report {
    /// A named count.
    pub fn counted(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or_default()
    }
    /// Faults of all kinds that a plan had in store and that struck: counts whose name starts with `fault.`. Scenarios
    /// without a plan do to the world what it counts as `world.`.
    pub fn faults(&self) -> u64 {
        let of = |group: &str| {
            let counts = self.counters.iter().filter(|(name, _)| name.starts_with(group));
            counts.map(|(_, count)| count).sum()
        };
        if self.counted(PLANNED) > 0 { of("fault.") } else { of("world.") }
    }
}
