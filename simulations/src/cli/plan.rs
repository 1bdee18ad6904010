//! `plan`: what will happen in the world of a seed, as data.

use crate::cli::{shrink, what::What};
use clap::Args;
use std::process::ExitCode;

/// Print the plan that a seed draws, to keep or to change.
#[derive(Args)]
pub struct Plan {
    /// The seed.
    seed: u64,
    #[command(flatten)]
    what: What,
}

impl Plan {
    /// Prints it.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        println!("{}", shrink::plan_of(self.seed, &self.what)?.to_json());
        Ok(ExitCode::SUCCESS)
    }
}
