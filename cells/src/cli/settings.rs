//! Flags that every command has which runs nodes.

use crate::config::{Bootstrap, Format, Sources};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Settings beside those that a command has flags of its own for.
#[derive(Debug, Args)]
pub(super) struct Settings {
    /// What an empty data directory is seeded with.
    #[arg(long, value_enum)]
    bootstrap: Option<Bootstrap>,
    /// How log records are written to stderr.
    #[arg(long, value_enum)]
    log_format: Option<Format>,
    /// Any setting; may be given many times.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(super) set: Vec<String>,
}

/// A flag, the section and the key of its setting, and what was typed.
pub(super) type Flag = (&'static str, &'static str, &'static str, Option<String>);

impl Settings {
    /// All that a configuration comes from: a file, the environment, the command's own flags and these.
    pub(super) fn sources<const N: usize>(self, file: Option<PathBuf>, own: [Flag; N]) -> Sources {
        let these = [
            ("--bootstrap", "node", "bootstrap", self.bootstrap.map(word)),
            ("--log-format", "log", "format", self.log_format.map(word)),
        ];
        let given = |(flag, section, key, value): Flag| Some((flag, section, key, value?));
        Sources {
            file,
            environment: std::env::vars().collect(),
            flags: own.into_iter().chain(these).filter_map(given).collect(),
            sets: self.set,
        }
    }
}

/// The word that stands for a value on the command line and in the file.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
