//! The command line: one command a file, each with its own exit codes.

mod admin;
mod announce;
mod asking;
mod cluster;
mod completions;
mod config;
mod serve;
mod settings;
mod stop;
mod up;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A Slack-compatible messaging cluster.
#[derive(Debug, Parser)]
#[command(name = "waggle", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one node; everything it needs is built in.
    Serve(serve::Serve),
    /// Run a whole cluster on this machine: nodes and a store as processes, behind one address.
    Up(up::Up),
    /// Make workspaces, users, tokens and channels on a running node.
    Admin(admin::Admin),
    /// See who is in the cluster, who owns what, and why.
    Cluster(cluster::Cluster),
    /// Show what can be set.
    Config(config::Config),
    /// Print what completes these commands in a shell.
    Completions(completions::Completions),
}

impl Cli {
    /// Does what was asked. Errors are sentences for stderr; their exit code is 1.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Up(up) => up.run(),
            Command::Admin(admin) => Ok(admin.run()),
            Command::Cluster(cluster) => Ok(cluster.run()),
            Command::Config(config) => config.run(),
            Command::Completions(completions) => Ok(completions.run()),
        }
    }
}

/// Exit codes with a meaning beside 0 (done) and 1 (refused, with the reason on stderr).
mod exit {
    /// The command makes no sense.
    pub(super) const USAGE: u8 = 2;
    /// What became of the request is not known.
    pub(super) const UNKNOWN: u8 = 3;
    /// No node answers there.
    pub(super) const NO_NODE: u8 = 4;
    /// The node stopped before everything was finished.
    pub(super) const NOT_DRAINED: u8 = 5;
}
