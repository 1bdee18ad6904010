//! `waggle-sim`: runs worlds, each seed in a process of its own.

mod cli;
mod overrides;

use clap::Parser;
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    cli::Cli::parse().run()
}
