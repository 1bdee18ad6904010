//! `soak`: fresh seeds on all cores until the time is over. It can be stopped and gone on with.

use crate::{
    cli::{pool, run::Totals, what::What},
    overrides,
};
use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::{ops::ControlFlow, path::PathBuf, process::ExitCode, time::Duration};

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Run fresh seeds on all cores for a while.
#[derive(Args)]
pub struct Soak {
    /// How long.
    #[arg(long)]
    minutes: f64,
    /// First seed; a fresh one by default.
    #[arg(long)]
    from: Option<u64>,
    /// Keeps how far it is in this file, and goes on from there when it exists.
    #[arg(long)]
    state: Option<PathBuf>,
    #[command(flatten)]
    what: What,
}

impl Soak {
    /// Runs until the time is over; 1 when a promise was broken.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        self.what.scenario()?;
        let began = overrides::real_time();
        let until = began + Duration::from_secs_f64(self.minutes * 60.0);
        let (first, mut totals) = self.begin()?;
        eprintln!("seeds from {first} on, for {} minutes", self.minutes);
        let (mut said, mut slowest, mut next) = (began, (0.0, 0), first);
        pool::run(first.., &|seed| pool::start(seed, &self.what, None), &mut |ended| {
            let now = overrides::real_time();
            if !ended.held() {
                eprint!("{}", ended.stderr);
            }
            let took = took(&ended.stderr);
            if took > slowest.0 {
                slowest = (took, ended.seed);
            }
            totals.add(&ended);
            next = ended.seed + 1;
            if now - said >= PROGRESS {
                said = now;
                eprintln!(
                    "{:5.1} min: {}, {} broken",
                    (now - began).as_secs_f64() / 60.0,
                    totals.line(),
                    totals.broken.len()
                );
                self.save(next, &totals)?;
            }
            Ok(if now < until { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        self.save(next, &totals)?;
        println!("{}", totals.line());
        println!("slowest seed {}: {:.1} s", slowest.1, slowest.0);
        for (name, count) in totals.counts.iter().filter(|(name, _)| name.starts_with("fault.")) {
            println!("{name:<20} {count}");
        }
        totals.broken.iter().for_each(|(seed, property)| println!("BROKEN seed {seed}: {property}"));
        Ok(if totals.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn begin(&self) -> anyhow::Result<(u64, Totals)> {
        let fresh = || (self.from.unwrap_or_else(overrides::fresh_seed), Totals::default());
        let Some(file) = self.state.as_ref().filter(|file| file.exists()) else { return Ok(fresh()) };
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let state: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no state", file.display()))?;
        let mut totals = Totals {
            seeds: state["seeds"].as_u64().unwrap_or_default(),
            hours: state["hours"].as_f64().unwrap_or_default(),
            messages: state["messages"].as_u64().unwrap_or_default(),
            ..Totals::default()
        };
        for (name, count) in state["faults"].as_object().into_iter().flatten() {
            totals.counts.insert(name.clone(), count.as_u64().unwrap_or_default());
        }
        for broken in state["broken"].as_array().into_iter().flatten() {
            let property = broken["property"].as_str().unwrap_or_default().to_owned();
            totals.broken.push((broken["seed"].as_u64().unwrap_or_default(), property));
        }
        let next = state["next"].as_u64().context("the state names no next seed")?;
        Ok((next, totals))
    }

    fn save(&self, next: u64, totals: &Totals) -> anyhow::Result<()> {
        let Some(file) = &self.state else { return Ok(()) };
        let faults: serde_json::Map<_, _> = totals
            .counts
            .iter()
            .filter(|(name, _)| name.starts_with("fault."))
            .map(|(name, count)| (name.clone(), json!(count)))
            .collect();
        let broken: Vec<_> = totals
            .broken
            .iter()
            .map(|(seed, property)| json!({ "seed": seed, "property": property }))
            .collect();
        let state = json!({
            "next": next,
            "seeds": totals.seeds,
            "hours": totals.hours,
            "messages": totals.messages,
            "faults": faults,
            "broken": broken,
        });
        std::fs::write(file, state.to_string()).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Seconds that a seed says it took.
fn took(stderr: &str) -> f64 {
    let line = stderr.lines().next().unwrap_or_default();
    let seconds = line.split(" in ").nth(1).and_then(|rest| rest.split(' ').next());
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}
