//! `membership`: the table by which the times of gossip and rule F1's corroboration were chosen.

use clap::Args;
use cluster::swim::SwimConfig;
use simulations::scenarios::membership::{
    growth::grow,
    measure::{Measured, Setting, Sign, measure},
};
use std::{process::ExitCode, time::Duration};

/// Measure membership.
#[derive(Args)]
pub struct Membership {
    /// Sizes of the cell.
    #[arg(long, value_delimiter = ',', default_value = "5,12")]
    nodes: Vec<usize>,
    /// Losses of a hundred.
    #[arg(long, value_delimiter = ',', default_value = "0,10,30")]
    loss: Vec<u64>,
    /// Worlds for each line.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// Virtual seconds in which everybody lives.
    #[arg(long, default_value_t = 120)]
    watch_s: u64,
    /// Nodes that only gossip: what that costs each, and how soon all know of a death.
    #[arg(long)]
    gossip: bool,
}

/// Times of the protocol that are compared.
fn timings() -> [(&'static str, SwimConfig); 4] {
    let quick = SwimConfig::default();
    let slow = SwimConfig {
        probe_period: Duration::from_secs(1),
        probe_rtt: Duration::from_millis(250),
        suspect_to_down: Duration::from_secs(8),
        ..quick
    };
    let patient = SwimConfig { suspect_to_down: Duration::from_millis(1500), ..quick };
    let raw = SwimConfig { damped: false, ..quick };
    [("quick", quick), ("quick, not damped", raw), ("patient", patient), ("slow", slow)]
}

impl Membership {
    /// Prints a line for each size, loss, timing and sign.
    pub fn run(self) -> ExitCode {
        if self.gossip {
            return self.grow();
        }
        println!(
            "| nodes | loss % | timing | sign | taken for dead an hour: by one | by two | \
             found by two: median, longest s | by all | bytes/s |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
        for nodes in self.nodes {
            for loss in &self.loss {
                for (timing, config) in timings() {
                    let watch = Duration::from_secs(self.watch_s);
                    let setting = Setting { nodes, loss: *loss, config, watch };
                    let runs: Vec<Measured> = (1..=self.seeds).map(|seed| measure(seed, setting)).collect();
                    let hours = watch.as_secs_f64() * self.seeds as f64 / 3600.0;
                    for sign in Sign::ALL {
                        println!("| {nodes} | {loss} | {timing} {}", line(&runs, sign, hours));
                    }
                }
            }
        }
        ExitCode::SUCCESS
    }
}

impl Membership {
    /// Prints a line for each size.
    fn grow(self) -> ExitCode {
        println!("| nodes | known by each, at least | bytes/s a node | a death is known to all after s |");
        println!("|---|---|---|---|");
        for nodes in self.nodes {
            let grown = (1..=self.seeds).map(|seed| grow(seed, nodes, Duration::from_secs(self.watch_s)));
            let grown: Vec<_> = grown.collect();
            let least = grown.iter().map(|grown| grown.least_known).min().unwrap_or_default();
            let bytes = grown.iter().map(|grown| grown.bytes).sum::<f64>() / grown.len().max(1) as f64;
            println!("| {nodes} | {least} | {bytes:.0} | {} |", times(grown.iter().map(|grown| grown.known)));
        }
        ExitCode::SUCCESS
    }
}

fn line(runs: &[Measured], sign: Sign, hours: f64) -> String {
    let an_hour = |count: fn(&Measured, Sign) -> u64| {
        runs.iter().map(|run| count(run, sign)).sum::<u64>() as f64 / hours
    };
    let one = an_hour(|run, sign| run.one.get(&sign).copied().unwrap_or_default());
    let two = an_hour(|run, sign| run.two.get(&sign).copied().unwrap_or_default());
    let found = times(runs.iter().map(|run| run.found.get(&sign).copied().flatten()));
    let known = times(runs.iter().map(|run| run.known.get(&sign).copied().flatten()));
    let bytes = runs.iter().map(|run| run.bytes).sum::<f64>() / runs.len() as f64;
    format!("| {sign:?} | {one:.0} | {two:.0} | {found} | {known} | {bytes:.0} |")
}

/// Median and longest.
fn times(times: impl Iterator<Item = Option<Duration>>) -> String {
    let mut times: Vec<Option<Duration>> = times.collect();
    times.sort_by_key(|time| time.unwrap_or(Duration::MAX));
    let shown = |time: Option<&Option<Duration>>| match time.copied().flatten() {
        Some(time) => format!("{:.2}", time.as_secs_f64()),
        None => "never".to_owned(),
    };
    format!("{}, {}", shown(times.get(times.len() / 2)), shown(times.last()))
}
