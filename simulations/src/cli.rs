//! The command line, one verb a file. Output on stdout depends on the seeds alone; timings go to stderr.

mod bugs;
mod check;
mod list;
mod membership;
mod plan;
mod pool;
mod replay;
mod run;
mod shrink;
mod soak;
mod what;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs the same actors under invented weather, replayable from a seed.
#[derive(Parser)]
#[command(name = "waggle-sim", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a scenario with each seed of a range.
    Run(run::Run),
    /// Run one seed again.
    Replay(replay::Replay),
    /// Make the plan of a seed that breaks a promise as small as it can be.
    Shrink(shrink::Shrink),
    /// Print the plan that a seed draws, to keep or to change.
    Plan(plan::Plan),
    /// Run fresh seeds on all cores for a while.
    Soak(soak::Soak),
    /// Find every planted bug; for builds that have them.
    Bugs(bugs::Bugs),
    /// Measure membership: how often the living are taken for dead, how soon the dead are.
    Membership(membership::Membership),
    /// What can be run, what lives there, what goes wrong, and what is promised.
    List,
    /// Explore the model of the ownership protocol: the right rules must hold, each broken one must break.
    Model {
        /// Print the shortest way to each broken invariant.
        #[arg(long)]
        steps: bool,
    },
}

impl Cli {
    /// Does what was asked: 0 all promises held, 1 one was broken.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::Run(run) => run.run(),
            Verb::Replay(replay) => replay.run(),
            Verb::Shrink(shrink) => shrink.run(),
            Verb::Plan(plan) => plan.run(),
            Verb::Soak(soak) => soak.run(),
            Verb::Bugs(bugs) => bugs.run(),
            Verb::Membership(membership) => Ok(membership.run()),
            Verb::List => Ok(list::run()),
            Verb::Model { steps } => Ok(check::run(steps)),
        }
    }
}
