//! `soak`: fresh seeds on all cores until the time is over. It can be stopped and gone on with.

use crate::{
    cli::{
        pool::{self, Ended},
        run::Totals,
        what::What,
    },
    overrides,
};
use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use simulations::sometimes::WITHIN_SEEDS;
use std::{fs, ops::ControlFlow, path::PathBuf, process::ExitCode, time::Duration};

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(10);

/// Run fresh seeds on all cores for a while.
#[derive(Args)]
pub struct Soak {
    /// How long, all calls with the same state together.
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

/// How far it is.
struct Progress {
    /// The seed to go on with.
    next: u64,
    /// How long it ran.
    ran: Duration,
    /// The seed that took longest, and its seconds.
    slowest: (u64, f64),
    totals: Totals,
}

impl Soak {
    /// Runs until the time is over; 1 when a promise was broken, or something never happened that must sometimes.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        self.what.scenario()?;
        self.what.settings()?;
        let whole =
            Duration::try_from_secs_f64(self.minutes * 60.0).context("--minutes is no length of time")?;
        let mut progress = self.begin()?;
        let (began, before) = (overrides::real_time(), progress.ran);
        let left = whole.saturating_sub(before);
        eprintln!("seeds from {} on, for {:.1} minutes of {}", progress.next, minutes(left), self.minutes);
        let mut said = began;
        if !left.is_zero() {
            pool::run(progress.next.., &|seed| pool::start(seed, &self.what, None), &mut |ended| {
                let now = overrides::real_time();
                if !ended.held() {
                    eprint!("{}", ended.stderr);
                }
                progress.add(&ended);
                progress.ran = before + (now - began);
                if now - said >= PROGRESS {
                    said = now;
                    progress.tell();
                    self.save(&progress)?;
                }
                Ok(if progress.ran < whole { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
        }
        self.save(&progress)?;
        progress.report();
        Ok(if progress.totals.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn begin(&self) -> anyhow::Result<Progress> {
        let totals = Totals::of(&self.what);
        let Some(file) = self.state.as_ref().filter(|file| file.exists()) else {
            let next = self.from.unwrap_or_else(overrides::fresh_seed);
            return Ok(Progress { next, ran: Duration::ZERO, slowest: (0, 0.0), totals });
        };
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let state: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no state", file.display()))?;
        Progress::of(&state, totals)
    }

    /// Whoever is stopped while it writes leaves the state before: the new one is moved into its place.
    fn save(&self, progress: &Progress) -> anyhow::Result<()> {
        let Some(file) = &self.state else { return Ok(()) };
        let mut beside = file.clone().into_os_string();
        beside.push(".new");
        let written = fs::write(&beside, progress.state().to_string());
        let saved = written.and_then(|()| fs::rename(&beside, file));
        saved.with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Progress {
    /// As a state tells. What an older one does not know is nothing.
    fn of(state: &Value, mut totals: Totals) -> anyhow::Result<Self> {
        totals.seeds = state["seeds"].as_u64().unwrap_or_default();
        totals.hours = state["hours"].as_f64().unwrap_or_default();
        totals.messages = state["messages"].as_u64().unwrap_or_default();
        for (name, count) in state["faults"].as_object().into_iter().flatten() {
            totals.counts.insert(name.clone(), count.as_u64().unwrap_or_default());
        }
        totals.broken = listed(&state["broken"], "property");
        totals.missed = listed(&state["missed"], "what");
        let next = state["next"].as_u64().context("the state names no next seed")?;
        let ran = Duration::try_from_secs_f64(state["minutes"].as_f64().unwrap_or_default() * 60.0);
        let ran = ran.context("the state does not say how long it ran")?;
        let slowest = &state["slowest"];
        let slowest =
            (slowest["seed"].as_u64().unwrap_or_default(), slowest["seconds"].as_f64().unwrap_or_default());
        Ok(Self { next, ran, slowest, totals })
    }

    /// As its file keeps it.
    fn state(&self) -> Value {
        let faults: serde_json::Map<_, _> =
            self.totals.faults().map(|(name, count)| (name.to_owned(), json!(count))).collect();
        json!({
            "next": self.next,
            "minutes": minutes(self.ran),
            "slowest": { "seed": self.slowest.0, "seconds": self.slowest.1 },
            "seeds": self.totals.seeds,
            "hours": self.totals.hours,
            "messages": self.totals.messages,
            "faults": faults,
            "broken": list(&self.totals.broken, "property"),
            "missed": list(&self.totals.missed, "what"),
        })
    }

    /// Adds the next seed.
    fn add(&mut self, ended: &Ended) {
        let took = took(&ended.stderr);
        if took > self.slowest.1 {
            self.slowest = (ended.seed, took);
        }
        self.totals.add(ended);
        self.next = ended.seed + 1;
    }

    /// Says how far it is.
    fn tell(&self) {
        let (totals, broken) = (self.totals.line(), self.totals.broken.len());
        eprintln!("{:5.1} min: {totals}, {broken} broken", minutes(self.ran));
    }

    /// Says what it came to.
    fn report(&self) {
        println!("{}", self.totals.line());
        println!("slowest seed {}: {:.1} s", self.slowest.0, self.slowest.1);
        self.totals.faults().for_each(|(name, count)| println!("{name:<20} {count}"));
        for (seed, property) in &self.totals.broken {
            println!("BROKEN seed {seed}: {property}");
        }
        for (seed, what) in &self.totals.missed {
            println!("MISSED in {WITHIN_SEEDS} seeds up to {seed}: {what}");
        }
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// Seeds, and what each is there for, as a state keeps them.
fn list(seeds: &[(u64, String)], about: &str) -> Vec<Value> {
    seeds.iter().map(|(seed, what)| json!({ "seed": seed, about: what })).collect()
}

/// The same, read again.
fn listed(seeds: &Value, about: &str) -> Vec<(u64, String)> {
    let what = |seed: &Value| seed[about].as_str().unwrap_or_default().to_owned();
    let seeds = seeds.as_array().into_iter().flatten();
    seeds.map(|seed| (seed["seed"].as_u64().unwrap_or_default(), what(seed))).collect()
}

/// Seconds that a seed says it took.
fn took(stderr: &str) -> f64 {
    let line = stderr.lines().next().unwrap_or_default();
    let seconds = line.split(" in ").nth(1).and_then(|rest| rest.split(' ').next());
    seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or_default()
}
