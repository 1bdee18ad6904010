//! What can be run: each scenario is a world with a purpose and its own checks.

pub mod echo;
pub mod posts;
pub mod yard;

use crate::world::{World, report::Violation};
use futures::future::BoxFuture;
use std::time::Duration;

/// Longest run, virtual hours.
pub const HOURS_MAX: f64 = 10_000.0;
/// The scenario that runs when none is named.
pub const DEFAULT: &str = "posts";

/// What a run may be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Virtual hours of work.
    pub hours: f64,
}

impl Settings {
    /// The same as a span.
    pub fn span(&self) -> Duration {
        Duration::from_secs_f64(self.hours * 3600.0)
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
    /// Default length, virtual hours.
    pub hours: f64,
    /// Starts it.
    pub run: fn(World, Settings) -> Verdict,
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "posts",
        about: "three nodes on disks of their own, people who post; crashes, a power cut, a pause, cuts",
        hours: 1.0,
        run: |world, settings| Box::pin(posts::run(world, settings)),
    },
    Scenario {
        name: "yard",
        about: "supervised actors that talk, panic and are restarted, on machines that crash and pause",
        hours: 1.0,
        run: |world, settings| Box::pin(yard::run(world, settings)),
    },
    Scenario {
        name: "echo",
        about: "HTTP and WebSocket over streams that are cut, reset, paused, and lose their server",
        hours: 1.0,
        run: |world, settings| Box::pin(echo::run(world, settings)),
    },
];
