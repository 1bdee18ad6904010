//! `run`: many seeds, and whether they came to enough.

use crate::{
    cli::{
        pool::{self, Ended},
        replay::text,
        what::{What, seeds},
    },
    overrides,
};
use anyhow::Context;
use clap::Args;
use simulations::sometimes::{WITHIN_SEEDS, Watch};
use std::{
    collections::BTreeMap,
    ops::{ControlFlow, RangeInclusive},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// Run a scenario with each seed of a range.
#[derive(Args)]
pub struct Run {
    /// First and last seed, both included: A..B, or one seed.
    #[arg(long, default_value = "1..1", value_parser = seeds, conflicts_with = "fresh")]
    seeds: RangeInclusive<u64>,
    /// So many seeds that nobody has run before.
    #[arg(long)]
    fresh: Option<u64>,
    /// A file of seeds that failed once, which are run first: a seed and its reason a line. The plan of a seed that is
    /// in `plans/SEED.json` beside the file is followed, whatever the seed draws by now.
    #[arg(long)]
    kept: Option<PathBuf>,
    /// Fewest virtual hours of the whole run.
    #[arg(long, default_value_t = 0.0)]
    hours_min: f64,
    /// Fewest acknowledged messages of the whole run.
    #[arg(long, default_value_t = 0)]
    messages_min: u64,
    /// Most minutes of one core that the whole run may take; 0: as many as it needs. It is not cut short, it fails at
    /// its end. Processor time: a neighbour on the machine makes a run last longer and makes it no worse.
    #[arg(long, default_value_t = 0.0)]
    core_minutes_max: f64,
    #[command(flatten)]
    what: What,
    /// One JSON line a seed.
    #[arg(long)]
    json: bool,
}

/// What seeds came to together.
#[derive(Debug, Default)]
pub struct Totals {
    /// Seeds.
    pub seeds: u64,
    /// Those that broke a promise, and which.
    pub broken: Vec<(u64, String)>,
    /// The last of [`WITHIN_SEEDS`] seeds in which something never happened that must happen sometimes, and what.
    pub missed: Vec<(u64, String)>,
    /// Virtual hours.
    pub hours: f64,
    /// Acknowledged messages.
    pub messages: u64,
    /// Everything that was counted.
    pub counts: BTreeMap<String, u64>,
    watch: Option<Watch>,
}

impl Totals {
    /// Of no seed yet.
    pub fn of(what: &What) -> Self {
        Self { watch: what.has_everything_in_store().then(Watch::default), ..Self::default() }
    }

    /// Adds the next seed, and says what has not happened for too many of them.
    pub fn add(&mut self, ended: &Ended) {
        self.seeds += 1;
        self.hours += ended.line["hours"].as_f64().unwrap_or_default();
        self.messages += ended.line["messages"].as_u64().unwrap_or_default();
        for (name, count) in ended.counts() {
            *self.counts.entry(name.to_owned()).or_default() += count;
        }
        self.broken.extend(ended.property().map(|property| (ended.seed, property)));
        let missing = self.watch.as_mut().and_then(|watch| watch.next(ended.counts()));
        if let Some(missing) = missing.filter(|missing| !missing.is_empty()) {
            let missing = missing.join(", ");
            eprintln!("in {WITHIN_SEEDS} seeds up to {} never: {missing}", ended.seed);
            self.missed.push((ended.seed, missing));
        }
    }

    /// Every promise held, and everything happened that must happen sometimes.
    pub fn held(&self) -> bool {
        self.broken.is_empty() && self.missed.is_empty()
    }

    /// Faults that struck, by kind.
    pub fn faults(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.counts.iter().map(|(name, count)| (name.as_str(), *count));
        counts.filter(|(name, _)| name.starts_with("fault."))
    }

    /// In a line.
    pub fn line(&self) -> String {
        let faults: u64 = self.faults().map(|(_, count)| count).sum();
        let (seeds, hours, messages) = (self.seeds, self.hours, self.messages);
        format!("{seeds} seeds, {hours:.1} virtual hours, {messages} acknowledged messages, {faults} faults")
    }
}

impl Run {
    /// Runs them all.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        self.what.scenario()?;
        self.what.settings()?;
        let began = overrides::real_time();
        let mut seeds = self.kept_seeds()?;
        match self.fresh {
            None => seeds.extend(self.seeds.clone()),
            Some(count) => {
                let first = overrides::fresh_seed();
                eprintln!("fresh seeds {first}..{}", first + count - 1);
                seeds.extend(first..first + count);
            }
        }
        let mut totals = Totals::of(&self.what);
        pool::run(seeds.into_iter(), &|seed| pool::start(seed, &self.what_of(seed), None), &mut |ended| {
            if self.json {
                print!("{}", ended.stdout);
            } else if !self.is_judged() && !ended.line.is_null() {
                println!("{}", text(&ended.line));
            }
            eprint!("{}", if ended.held() && self.is_judged() { "" } else { &ended.stderr });
            totals.add(&ended);
            Ok(ControlFlow::Continue(()))
        })?;
        let (took, worked) = (overrides::real_time() - began, overrides::processor_time_of_children());
        let (took_s, worked_s) = (took.as_secs_f64(), worked.as_secs_f64());
        eprintln!("{} in {took_s:.0} s and {worked_s:.0} s of a core", totals.line());
        self.tell(&totals);
        let as_asked = self.is_as_asked(&totals, worked);
        Ok(if totals.held() && as_asked { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The whole run is looked at, not only each seed.
    fn is_judged(&self) -> bool {
        self.fresh.is_some() || self.hours_min > 0.0 || self.messages_min > 0 || self.core_minutes_max > 0.0
    }

    /// Says what became of the promises.
    fn tell(&self, totals: &Totals) {
        for (seed, property) in &totals.broken {
            let again = self.what_of(*seed).again(*seed);
            eprintln!(
                "seed {seed} broke «{property}»: waggle-sim shrink {again} makes it smaller; keep it in \
                 simulations/seeds.txt when it is mended"
            );
        }
        match (totals.broken.is_empty(), totals.missed.is_empty()) {
            (true, true) => eprintln!("every promise held"),
            (true, false) => eprintln!("every promise held, but not everything happened that must sometimes"),
            (false, _) => {}
        }
    }

    /// Whether the whole run came to enough, with as little work.
    fn is_as_asked(&self, totals: &Totals, worked: Duration) -> bool {
        let enough = totals.hours >= self.hours_min && totals.messages >= self.messages_min;
        if !enough {
            eprintln!(
                "too little: at least {} hours and {} messages were asked for, there were {:.1} and {}",
                self.hours_min, self.messages_min, totals.hours, totals.messages
            );
        }
        let (worked_s, allowed_s) = (worked.as_secs_f64(), self.core_minutes_max * 60.0);
        let slow = allowed_s > 0.0 && worked_s > allowed_s;
        if slow {
            eprintln!("too slow: it took {worked_s:.1} s of a core and was allowed {allowed_s:.1} s");
        }
        enough && !slow
    }

    /// What is run with a seed: its kept plan, if it has one.
    fn what_of(&self, seed: u64) -> What {
        let beside = self.kept.as_ref().and_then(|file| file.parent());
        let kept = beside.map(|folder| folder.join("plans").join(format!("{seed}.json")));
        What { plan: kept.filter(|plan| plan.exists()).or(self.what.plan.clone()), ..self.what.clone() }
    }

    fn kept_seeds(&self) -> anyhow::Result<Vec<u64>> {
        let Some(file) = &self.kept else { return Ok(Vec::new()) };
        let kept =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = kept.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                let seed = line.split_whitespace().next().unwrap_or_default();
                seed.parse()
                    .with_context(|| format!("{}: {line:?} does not begin with a seed", file.display()))
            })
            .collect()
    }
}
