//! The command line. Output on stdout depends on the seeds alone; timings go to stderr.

use crate::overrides;
use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use simulations::{
    model,
    scenarios::{self, SCENARIOS, Scenario, Settings},
    world::{World, report::Report, trace::Telling},
};
use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::Write as _,
    ops::RangeInclusive,
    process::{Child, Command, ExitCode, Stdio},
    thread::available_parallelism,
};

/// Most seeds of one call.
const SEEDS_MAX: u64 = 1_000_000;
/// Processor time of one seed: a task that spins without ever waiting is killed by the system.
const CPU_SECONDS_MAX: u64 = 3600;
/// Events of the story that a failure prints.
const FAILURE_EVENTS_MAX: usize = 40;

/// Runs the same actors under invented weather, replayable from a seed.
#[derive(Parser)]
#[command(name = "waggle-sim", version)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a scenario with each seed of a range.
    Run {
        /// First and last seed, both included: A..B, or one seed.
        #[arg(long, default_value = "1..1", value_parser = seeds)]
        seeds: RangeInclusive<u64>,
        #[command(flatten)]
        what: What,
        /// One JSON line a seed.
        #[arg(long)]
        json: bool,
    },
    /// Run one seed again.
    Replay {
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
    },
    /// What can be run.
    List,
    /// Explore the model of the ownership protocol: the right rules must hold, each broken one must break.
    Model {
        /// Print the shortest way to each broken invariant.
        #[arg(long)]
        steps: bool,
    },
}

#[derive(Args, Clone)]
struct What {
    /// Which scenario; `list` names them.
    #[arg(long, default_value = scenarios::DEFAULT)]
    scenario: String,
    /// Virtual hours, each scenario has its own default.
    #[arg(long)]
    hours: Option<f64>,
    /// Which workload of the weather; `list` names them.
    #[arg(long)]
    workload: Option<String>,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a seed"));
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last - first >= SEEDS_MAX {
        return Err(format!("{text}: the range goes up and holds at most {SEEDS_MAX} seeds"));
    }
    Ok(first..=last)
}

impl What {
    fn find(&self) -> anyhow::Result<(&'static Scenario, Settings)> {
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == self.scenario) else {
            bail!("there is no scenario {:?}; `waggle-sim list` names them", self.scenario);
        };
        if self.hours.is_some_and(|hours| !(hours > 0.0 && hours <= scenarios::HOURS_MAX)) {
            bail!("--hours is more than 0 and at most {}", scenarios::HOURS_MAX);
        }
        let settings = Settings { hours: self.hours, workload: self.workload.clone(), plan: None };
        Ok((scenario, settings))
    }
}

impl Cli {
    /// Does what was asked: 0 all promises held, 1 one was broken.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::Run { seeds, what, json } => run_all(seeds, &what, json),
            Verb::Replay { seed, what, story, events, json } => {
                let telling = match (story, events) {
                    (_, true) => Telling::Events,
                    (true, _) => Telling::Story,
                    _ => Telling::Silent,
                };
                replay(seed, &what, telling, json)
            }
            Verb::List => {
                SCENARIOS.iter().for_each(|scenario| println!("{:<10} {}", scenario.name, scenario.about));
                Ok(ExitCode::SUCCESS)
            }
            Verb::Model { steps } => Ok(check_model(steps)),
        }
    }
}

fn check_model(steps: bool) -> ExitCode {
    let mut all_expected = true;
    for report in model::check_all(&overrides::real_time) {
        println!("{report}");
        all_expected &= report.is_as_expected();
        if steps || !report.is_as_expected() {
            report.steps().iter().zip(1..).for_each(|(step, number)| println!("  {number:>2}. {step}"));
        }
    }
    if all_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs each seed as a `replay` in a process of its own: the actor library keeps process-wide tables.
fn run_all(seeds: RangeInclusive<u64>, what: &What, json: bool) -> anyhow::Result<ExitCode> {
    let (scenario, settings) = what.find()?;
    let program = std::env::current_exe().context("cannot find the own program")?;
    let at_once = available_parallelism().map_or(1, usize::from);
    let start = |seed: u64| {
        Command::new(&program)
            .args(["replay", &seed.to_string(), "--scenario", scenario.name])
            .args(settings.hours.iter().flat_map(|hours| ["--hours".to_owned(), hours.to_string()]))
            .args(json.then_some("--json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the process of a seed")
    };
    let mut running: VecDeque<(u64, Child)> = VecDeque::new();
    let mut failed = false;
    for seed in seeds {
        if running.len() == at_once {
            failed |= running.pop_front().map(finish).transpose()?.unwrap_or_default();
        }
        running.push_back((seed, start(seed)?));
    }
    for started in running {
        failed |= finish(started)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints what a seed's process printed, in the order of the seeds; true when a promise was broken.
fn finish((seed, child): (u64, Child)) -> anyhow::Result<bool> {
    let output = child.wait_with_output().context("lost the process of a seed")?;
    std::io::stdout().write_all(&output.stdout)?;
    if output.status.code().is_none() {
        eprintln!(
            "seed {seed}: its process was killed ({}); it spins, or the system is short",
            output.status
        );
    }
    Ok(!output.status.success())
}

fn replay(seed: u64, what: &What, telling: Telling, json: bool) -> anyhow::Result<ExitCode> {
    let (scenario, settings) = what.find()?;
    let began = overrides::real_time();
    overrides::limit_cpu(CPU_SECONDS_MAX);
    overrides::arm(seed);
    let report = World::simulate(seed, telling, |world| (scenario.run)(world, settings.clone()));
    let took = overrides::real_time() - began;
    println!("{}", if json { json_line(scenario, &report) } else { text_line(&report) });
    let rate = report.events as f64 / took.as_secs_f64();
    eprintln!("seed {seed}: {} events in {:.2} s, {rate:.0} events/s", report.events, took.as_secs_f64());
    let Some(violation) = &report.violation else {
        return Ok(ExitCode::SUCCESS);
    };
    eprintln!(
        "seed {seed} broke a promise at {:.6} s: {violation}. Again, event by event: waggle-sim replay {seed} \
         --scenario {} --story. The last events were:\n{}",
        report.elapsed.as_secs_f64(),
        scenario.name,
        report.tail[report.tail.len().saturating_sub(FAILURE_EVENTS_MAX)..].join("\n"),
    );
    Ok(ExitCode::FAILURE)
}

fn json_line(scenario: &Scenario, report: &Report) -> String {
    serde_json::json!({
        "v": 1,
        "seed": report.seed,
        "ok": report.violation.is_none(),
        "hash": format!("{:032x}", report.hash),
        "hours": report.elapsed.as_secs_f64() / 3600.0,
        "messages": report.counted("messages"),
        "faults": report.faults(),
        "property": report.violation.as_ref().map(|violation| violation.property),
        "scenario": scenario.name,
        "events": report.events,
        "counts": report.counters,
    })
    .to_string()
}

fn text_line(report: &Report) -> String {
    let verdict = if report.violation.is_none() { "held" } else { "BROKEN" };
    let mut line = format!("seed {} {verdict} {:032x}", report.seed, report.hash);
    for (name, count) in &report.counters {
        // Writing to a string does not fail.
        let _ = write!(line, " {name}={count}");
    }
    line
}
