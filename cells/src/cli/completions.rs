//! `waggle completions`: a script for a shell, on stdout.

use super::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::{io, process::ExitCode};

/// Print what completes these commands in a shell.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell; its manual says where the script belongs.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> ExitCode {
        clap_complete::generate(self.shell, &mut Cli::command(), "waggle", &mut io::stdout());
        ExitCode::SUCCESS
    }
}
