//! `waggle cluster`: who is in the cluster, who owns what, and why, as the asked node sees it.

mod table;
mod top;
mod trace;

use super::{asking::answer, exit};
use crate::operator::Request;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};
use table::{cell, table, uptime};

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
    #[command(flatten)]
    Ask(Question),
    /// What each node does, again and again until it is stopped.
    Top(top::Top),
}

/// What is asked once.
#[derive(Debug, Subcommand)]
enum Question {
    /// The nodes: how they stand, what they own, whom they serve.
    Status,
    /// How the slots lie on the nodes, and how the ring would have them.
    Ring,
    /// Which node owns a channel.
    Placement(Channel),
    /// Why a channel is where it is.
    Why(Channel),
    /// What a message went through: who asked, its place, the store, each gateway.
    Trace(Message),
    /// Whether all is well; exit 1 and a sentence each for what is not.
    Health,
}

#[derive(Debug, Args)]
struct Channel {
    /// Name or id.
    channel: String,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, Args)]
struct Message {
    /// CHANNEL/TS, such as general/1767225600.000100, or the link to the message.
    message: String,
    #[command(flatten)]
    within: Within,
}

#[derive(Debug, Args)]
struct Within {
    /// Name or id; needed where there are several.
    #[arg(long)]
    workspace: Option<String>,
}

impl Within {
    /// The arguments of a question about something of a workspace.
    fn args(&self, key: &str, name: &str) -> Value {
        let mut args = json!({ key: name });
        if let Some(workspace) = &self.workspace {
            args["workspace"] = workspace.as_str().into();
        }
        args
    }
}

impl Cluster {
    pub(super) fn run(self) -> ExitCode {
        match self.verb {
            Verb::Top(top) => top.run(self.node, self.json),
            Verb::Ask(question) => question.run(self.node, self.json),
        }
    }
}

impl Question {
    fn run(self, node: Option<PathBuf>, is_json: bool) -> ExitCode {
        let (verb, args) = match &self {
            Self::Status => ("cluster.status", json!({})),
            Self::Ring => ("cluster.ring", json!({})),
            Self::Placement(Channel { channel, within }) | Self::Why(Channel { channel, within }) => {
                ("cluster.placement", within.args("channel", channel))
            }
            Self::Trace(Message { message, within }) => ("cluster.trace", within.args("message", message)),
            Self::Health => ("cluster.health", json!({})),
        };
        let result = match answer(node, &Request { verb: verb.to_owned(), args }, exit::UNKNOWN) {
            Ok(result) => result,
            Err(code) => return code,
        };
        let troubles = list(&result["troubles"]);
        let text = match &self {
            _ if is_json => result.to_string(),
            Self::Status => status(&list(&result["nodes"])),
            Self::Ring => ring(&list(&result["nodes"])),
            Self::Placement(_) => placement(&result),
            Self::Why(_) => lines(&list(&result["placement"]["why"])),
            Self::Trace(_) => trace::text(&result["trace"]),
            Self::Health if troubles.is_empty() => "all is well".to_owned(),
            Self::Health => lines(&troubles),
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
        let owns = if node["is_member"] == true { "yes" } else { "no" };
        let fields = ["node", "state", "slots", "sessions", "version", "address"].map(|key| cell(&node[key]));
        let [name, state, slots, sessions, version, address] = fields;
        vec![name, state.replace('_', " "), owns.to_owned(), slots, sessions, uptime(node), version, address]
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

#[cfg(test)]
mod tests {
    use super::*;

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
