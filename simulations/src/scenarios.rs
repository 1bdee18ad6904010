//! What can be run: each scenario is a world with a purpose and its own checks.

pub mod company;
pub mod echo;
pub mod membership;
pub mod weather;
pub mod yard;

use crate::{
    plan::Plan,
    world::{World, report::Violation},
};
use futures::future::BoxFuture;
use std::time::Duration;

/// Most nodes of one cell.
pub const NODES_MAX: usize = 12;

/// Longest run, virtual hours.
pub const HOURS_MAX: f64 = 10_000.0;
/// The scenario that runs when none is named.
pub const DEFAULT: &str = "weather";

/// What a run may be told.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Virtual hours of work; each scenario has its own default.
    pub hours: Option<f64>,
    /// Which workload, of scenarios that have several.
    pub workload: Option<String>,
    /// Nodes of the weather's first site.
    pub nodes: Option<usize>,
    /// Exactly this is to happen, of scenarios that follow a plan.
    pub plan: Option<Plan>,
}

impl Settings {
    /// The length of the work, an hour unless told otherwise.
    pub fn span(&self) -> Duration {
        self.span_or(1.0)
    }
    /// The length of the work, so many hours unless told otherwise.
    pub fn span_or(&self, hours: f64) -> Duration {
        Duration::from_secs_f64(self.hours.unwrap_or(hours) * 3600.0)
    }
}

/// A future that says whether all promises held.
pub type Verdict = BoxFuture<'static, Result<(), Violation>>;

/// One entry of the catalogue.
pub struct Scenario {
    /// As the command line names it.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// Starts it.
    pub run: fn(World, Settings) -> Verdict,
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "weather",
        about: "nodes on disks, people with habits, and whatever a seed has in store for them",
        run: |world, settings| Box::pin(weather::run(world, settings)),
    },
    Scenario {
        name: "yard",
        about: "supervised actors that talk, panic and are restarted, on machines that crash and pause",
        run: |world, settings| Box::pin(yard::run(world, settings)),
    },
    Scenario {
        name: "echo",
        about: "HTTP and WebSocket over streams that are cut, reset, paused, and lose their server",
        run: |world, settings| Box::pin(echo::run(world, settings)),
    },
    Scenario {
        name: "company",
        about: "nodes of a cell with one store: owners die, freeze and are cut off while people write and listen",
        run: |world, settings| Box::pin(company::run(world, settings)),
    },
    Scenario {
        name: "membership",
        about: "nodes that gossip and link while paths lose, nodes pause, die and are cut off",
        run: |world, settings| Box::pin(membership::run(world, settings)),
    },
];
