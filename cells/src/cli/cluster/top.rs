//! `waggle cluster top`: what each node does in a second, again and again.

use super::{
    list,
    table::{cell, table, uptime},
};
use crate::{
    cli::{asking::answer, exit},
    operator::Request,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{IsTerminal, stdout},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};

/// What each node does, again and again until it is stopped.
#[derive(Debug, Args)]
pub(super) struct Top {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Shown so many times; 0: until it is stopped.
    #[arg(long, value_name = "N", default_value_t = 0)]
    times: u64,
}

/// Clears a terminal and goes to its first line (ECMA-48).
const CLEAR: &str = "\x1b[2J\x1b[H";

impl Top {
    pub(super) fn run(&self, node: Option<PathBuf>, is_json: bool) -> ExitCode {
        let request = Request { verb: "cluster.status".to_owned(), args: json!({}) };
        let look = || answer(node.clone(), &request, exit::UNKNOWN).map(|answer| list(&answer["nodes"]));
        let mut before = match look() {
            Ok(nodes) => nodes,
            Err(code) => return code,
        };
        for number in 1.. {
            wait(Duration::from_secs(self.every));
            let nodes = match look() {
                Ok(nodes) => nodes,
                Err(code) => return code,
            };
            let lines = rates(&before, &nodes);
            match is_json {
                true => println!("{}", json!({ "v": 1, "nodes": lines })),
                false if stdout().is_terminal() => println!("{CLEAR}{}", text(&lines)),
                false => println!("{}", text(&lines)),
            }
            before = nodes;
            if number == self.times {
                break;
            }
        }
        ExitCode::SUCCESS
    }
}

#[allow(clippy::disallowed_methods)] // this process is a command line, not a node: it has no clock to ask
fn wait(span: Duration) {
    thread::sleep(span);
}

/// The nodes, each with what it did in a second since the look before; without a rate where it did not tell, then or
/// now, or has started since.
fn rates(before: &[Value], now: &[Value]) -> Vec<Value> {
    let before: BTreeMap<&str, &Value> =
        before.iter().filter_map(|node| Some((node["node"].as_str()?, node))).collect();
    let with = |node: &Value| {
        let mut line = node.clone();
        let earlier = before.get(node["node"].as_str().unwrap_or_default());
        for (count, rate) in [("ordered", "ordered_per_s"), ("handed", "handed_per_s")] {
            line[rate] = earlier.and_then(|earlier| per_second(earlier, node, count)).into();
        }
        line
    };
    now.iter().map(with).collect()
}

fn per_second(earlier: &Value, now: &Value, count: &str) -> Option<u64> {
    let since = |key: &str| now[key].as_u64()?.checked_sub(earlier[key].as_u64()?);
    (since(count)? * 1000).checked_div(since("uptime_ms")?)
}

fn text(nodes: &[Value]) -> String {
    let row = |node: &Value| {
        let keys = ["node", "state", "slots", "sessions", "ordered_per_s", "handed_per_s", "slowness"];
        keys.iter().map(|key| cell(&node[*key]).replace('_', " ")).chain([uptime(node)]).collect()
    };
    let head = ["NODE", "STATE", "SLOTS", "SESSIONS", "ORDERED/S", "HANDED/S", "SLOW", "UP"];
    table(&head, nodes.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_happened_in_between_and_a_node_that_started_anew_has_none() {
        let node = |name: &str, uptime_ms: u64, ordered: u64| {
            let handed = 10 * ordered;
            json!({ "node": name, "uptime_ms": uptime_ms, "ordered": ordered, "handed": handed })
        };
        let before = [node("a", 1_000, 100), node("b", 90_000, 500)];
        let now = [node("a", 3_000, 700), node("b", 1_000, 3), node("c", 1_000, 9)];
        let rates = rates(&before, &now);
        let shown: Vec<_> =
            rates.iter().map(|node| (&node["ordered_per_s"], &node["handed_per_s"])).collect();
        assert_eq!(shown[0], (&json!(300), &json!(3_000)));
        assert_eq!((shown[1].0, shown[2].0), (&Value::Null, &Value::Null));
    }
}
