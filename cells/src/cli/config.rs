//! `waggle config`.

use crate::config::EXPLAINED;
use clap::Args;
use std::{io::Write, process::ExitCode};

/// Show what can be set.
#[derive(Debug, Args)]
pub(super) struct Config {
    /// Print every setting with its default and its comment; the output is a valid configuration file.
    #[arg(long, required = true)]
    explain: bool,
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        std::io::stdout().write_all(EXPLAINED.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
