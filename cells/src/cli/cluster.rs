//! `waggle cluster`: who is in the cluster, who owns what, and why, as the asked node sees it.

use super::{asking::answer, exit};
use crate::operator::Request;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

/// See who is in the cluster, who owns what, and why.
#[derive(Debug, Args)]
pub(super) struct Cluster {
    /// The operator socket of the node to ask [default: the one in $WAGGLE_DATA or ./waggle-data].
    #[arg(long, value_name = "OPERATOR", global = true)]
    node: Option<PathBuf>,
    /// Print the whole answer as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The nodes: how they stand, what they own, whom they serve.
    Status,
    /// How the slots lie on the nodes, and how the ring would have them.
    Ring,
    /// Which node owns a channel.
    Placement(Channel),
    /// Why a channel is where it is.
    Why(Channel),
    /// Whether all is well; exit 1 and a sentence each for what is not.
    Health,
}

#[derive(Debug, Args)]
struct Channel {
    /// Name or id.
    channel: String,
    /// Name or id; needed where there are several.
    #[arg(long)]
    workspace: Option<String>,
}

impl Channel {
    fn args(&self) -> Value {
        match &self.workspace {
            Some(workspace) => json!({ "channel": self.channel, "workspace": workspace }),
            None => json!({ "channel": self.channel }),
        }
    }
}

impl Cluster {
    pub(super) fn run(self) -> ExitCode {
        let (verb, args) = match &self.verb {
            Verb::Status => ("cluster.status", json!({})),
            Verb::Ring => ("cluster.ring", json!({})),
            Verb::Placement(channel) | Verb::Why(channel) => ("cluster.placement", channel.args()),
            Verb::Health => ("cluster.health", json!({})),
        };
        let result = match answer(self.node, &Request { verb: verb.to_owned(), args }, exit::UNKNOWN) {
            Ok(result) => result,
            Err(code) => return code,
        };
        let troubles = list(&result["troubles"]);
        let text = match &self.verb {
            _ if self.json => result.to_string(),
            Verb::Status => status(&list(&result["nodes"])),
            Verb::Ring => ring(&list(&result["nodes"])),
            Verb::Placement(_) => placement(&result),
            Verb::Why(_) => lines(&list(&result["placement"]["why"])),
            Verb::Health if troubles.is_empty() => "all is well".to_owned(),
            Verb::Health => lines(&troubles),
        };
        println!("{text}");
        if troubles.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn lines(sentences: &[Value]) -> String {
    sentences.iter().map(cell).collect::<Vec<_>>().join("\n")
}

fn status(nodes: &[Value]) -> String {
    let row = |node: &Value| {
        let up = node["uptime_ms"].as_u64().map(|ms| span(ms / 1000)).unwrap_or_else(|| "-".into());
        let owns = if node["is_member"] == true { "yes" } else { "no" };
        let fields = ["node", "state", "slots", "sessions", "version", "address"].map(|key| cell(&node[key]));
        let [name, state, slots, sessions, version, address] = fields;
        vec![name, state.replace('_', " "), owns.to_owned(), slots, sessions, up, version, address]
    };
    let head = ["NODE", "STATE", "MEMBER", "SLOTS", "SESSIONS", "UP", "VERSION", "ADDRESS"];
    table(&head, nodes.iter().map(row).collect())
}

fn ring(nodes: &[Value]) -> String {
    let row = |node: &Value| ["node", "owns", "ring", "astray"].map(|key| cell(&node[key])).to_vec();
    table(&["NODE", "OWNS", "RING", "ASTRAY"], nodes.iter().map(row).collect())
}

fn placement(result: &Value) -> String {
    let place = &result["placement"];
    let channel = ["workspace", "channel"].map(|key| cell(&result[key]));
    let rest = ["slot", "block", "owner", "epoch", "ring"].map(|key| cell(&place[key]));
    let head = ["WORKSPACE", "CHANNEL", "SLOT", "BLOCK", "OWNER", "EPOCH", "RING"];
    table(&head, vec![channel.into_iter().chain(rest).collect()])
}

/// A value as people read it.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Seconds in the two largest units.
fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Columns under their heads, as wide as what is in them.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or_default();
    let wide = |at: usize| all.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| wide(at).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = vec![vec!["node-1".into(), "7".into()], vec!["n".into(), "1024".into()]];
        assert_eq!(table(&["NODE", "SLOTS"], rows), "NODE    SLOTS\nnode-1  7\nn       1024");
    }

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        let said = [5, 65, 3_700, 90_061].map(span);
        assert_eq!(said, ["5s", "1m05s", "1h01m", "1d01h"]);
    }

    #[test]
    fn what_a_node_does_not_say_is_a_dash() {
        let nodes = [json!({ "node": "b", "state": "no_link", "is_member": false, "slots": 0 })];
        let text = status(&nodes);
        assert_eq!(
            text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
            "b no link no 0 - - - -"
        );
    }
}
