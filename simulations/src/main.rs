//! `waggle-sim`: runs worlds, each seed in a process of its own.

mod cli;
mod overrides;

use clap::Parser;
use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A run makes and drops small things all the time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    cli::Cli::parse().run()
}
