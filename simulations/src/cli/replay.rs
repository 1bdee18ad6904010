//! `replay`: one seed, in this process.

use crate::{cli::what::What, overrides};
use clap::Args;
use serde_json::Value;
use simulations::{
    promises::bounds,
    scenarios::Scenario,
    sometimes,
    world::{World, report::Report, trace::Telling},
};
use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

/// Processor time of one seed: a task that spins without ever waiting is killed by the system.
const CPU_SECONDS_MAX: u64 = 3600;
/// What a seed may map, some of which it never touches: a queue that grows without end ends the process.
const MAPPED_BYTES_MAX: u64 = 8 << 30;
/// Events of the story that a failure prints.
const FAILURE_EVENTS_MAX: usize = 40;
/// Counts from inside the product.
const INSIDE: [&str; 3] = ["point.", "rule.", "metric."];

/// Run one seed again.
#[derive(Args)]
pub struct Replay {
    /// The seed.
    seed: u64,
    #[command(flatten)]
    what: What,
    /// Tell who did what when.
    #[arg(long)]
    story: bool,
    /// Print every event.
    #[arg(long)]
    events: bool,
    /// One JSON line.
    #[arg(long)]
    json: bool,
    /// Processor time after which it is killed, in seconds.
    #[arg(long, default_value_t = CPU_SECONDS_MAX)]
    cpu_seconds: u64,
}

impl Replay {
    /// Runs it.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let (scenario, settings) = (self.what.scenario()?, self.what.settings()?);
        self.what.plant()?;
        let telling = match (self.story, self.events) {
            (_, true) => Telling::Events,
            (true, _) => Telling::Story,
            _ => Telling::Silent,
        };
        let began = overrides::real_time();
        overrides::limit_cpu(self.cpu_seconds);
        overrides::limit_memory(MAPPED_BYTES_MAX);
        overrides::arm(self.seed);
        let mut report = World::simulate(self.seed, telling, |world| (scenario.run)(world, settings));
        if report.violation.is_none() && telling == Telling::Silent {
            report.violation = bounds::memory(overrides::peak_memory()).err();
        }
        let took = overrides::real_time() - began;
        let line = line(scenario, &report);
        println!("{}", if self.json { line.to_string() } else { text(&line) });
        let rate = report.events as f64 / took.as_secs_f64();
        eprintln!(
            "seed {}: {} events in {:.2} s, {rate:.0} events/s",
            self.seed,
            report.events,
            took.as_secs_f64()
        );
        let Some(violation) = &report.violation else {
            return Ok(ExitCode::SUCCESS);
        };
        let again = self.what.again(self.seed);
        eprintln!(
            "seed {} broke a promise at {:.6} s: {violation}. Who did what: waggle-sim replay {again} --story. \
             Smaller: waggle-sim shrink {again}. The last events were:\n{}",
            self.seed,
            report.elapsed.as_secs_f64(),
            report.tail[report.tail.len().saturating_sub(FAILURE_EVENTS_MAX)..].join("\n"),
        );
        Ok(ExitCode::FAILURE)
    }
}

/// Everything that was counted: by scenario and clients, fault points, rules, and the product's own metrics.
fn counts(report: &Report) -> BTreeMap<String, u64> {
    let mut counts = report.counters.clone();
    counts.extend(report.points.iter().map(|(point, count)| (format!("point.{}", point.name()), *count)));
    counts.extend(sometimes::rules(&report.points));
    counts.extend(report.gauges.iter().map(|(name, count)| (format!("metric.{name}"), *count)));
    counts
}

fn line(scenario: &Scenario, report: &Report) -> Value {
    serde_json::json!({
        "v": 1,
        "seed": report.seed,
        "ok": report.violation.is_none(),
        "hash": format!("{:032x}", report.hash),
        "hours": report.elapsed.as_secs_f64() / 3600.0,
        "messages": report.counted("messages"),
        "faults": report.faults(),
        "property": report.violation.as_ref().map(|violation| violation.property),
        "detail": report.violation.as_ref().map(|violation| violation.detail.clone()),
        "begun_s": report.counted("begun_us") as f64 / 1e6,
        "scenario": scenario.name,
        "events": report.events,
        "counts": counts(report),
    })
}

/// A seed's line for people: of the counts, what happened outside of the product.
pub fn text(line: &Value) -> String {
    let verdict = if line["ok"] == true { "held" } else { "BROKEN" };
    let mut text = format!("seed {} {verdict} {}", line["seed"], line["hash"].as_str().unwrap_or_default());
    for (name, count) in line["counts"].as_object().into_iter().flatten() {
        if !INSIDE.iter().any(|inside| name.starts_with(inside)) {
            // Writing to a string does not fail.
            let _ = write!(text, " {name}={count}");
        }
    }
    text
}
