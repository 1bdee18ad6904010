//! Asking a node as its operator, for commands that print what it says.

use super::exit;
use crate::{
    config::DATA_VARIABLE,
    operator::{
        self, Kind, Request,
        client::{AskError, ask},
    },
};
use serde_json::Value;
use std::{path::PathBuf, process::ExitCode};

/// The answer; or the exit code, after the reason was said on stderr. Without a socket the one in the data directory is
/// asked. `unknown`: the code when what became of the request is not known.
pub(super) fn answer(node: Option<PathBuf>, request: &Request, unknown: u8) -> Result<Value, ExitCode> {
    let reply = match ask(&node.unwrap_or_else(default_operator), request) {
        Ok(reply) => reply,
        Err(error) => {
            eprintln!("waggle: {error}");
            return Err(ExitCode::from(match error {
                AskError::NoNode(..) => exit::NO_NODE,
                AskError::NoAnswer(..) => unknown,
            }));
        }
    };
    if reply.ok {
        return Ok(reply.result.unwrap_or_default());
    }
    eprintln!("waggle: {}", reply.error.unwrap_or_default());
    Err(match reply.kind {
        Some(Kind::Usage) => ExitCode::from(exit::USAGE),
        _ => ExitCode::FAILURE,
    })
}

#[allow(clippy::disallowed_methods)] // this process is a command line, not a node: it has no configuration
fn default_operator() -> PathBuf {
    let data = std::env::var_os(DATA_VARIABLE).map_or_else(|| "waggle-data".into(), PathBuf::from);
    data.join(operator::FILE)
}
