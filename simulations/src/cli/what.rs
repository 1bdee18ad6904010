//! What is to be run: arguments that several verbs share.

use anyhow::{Context, bail};
use clap::Args;
use simulations::{
    plan::Plan,
    scenarios::{self, SCENARIOS, Scenario, Settings},
};
use std::{ops::RangeInclusive, path::PathBuf};

/// Most seeds of one call.
const SEEDS_MAX: u64 = 1_000_000;

/// A scenario and what it may be told.
#[derive(Args, Clone, Default)]
pub struct What {
    /// Which scenario; `list` names them.
    #[arg(long, default_value = scenarios::DEFAULT)]
    pub scenario: String,
    /// Virtual hours, each scenario has its own default.
    #[arg(long)]
    pub hours: Option<f64>,
    /// Which workload of the weather; `list` names them.
    #[arg(long)]
    pub workload: Option<String>,
    /// Nodes of the weather's first site: 2 or more make it a cell in every seed.
    #[arg(long)]
    pub nodes: Option<usize>,
    /// Follow the plan in this file instead of the seed's own.
    #[arg(long)]
    pub plan: Option<PathBuf>,
    /// Run with this planted bug; for builds that have them.
    #[cfg(planted)]
    #[arg(long)]
    pub bug: Option<String>,
}

/// Reads A..B, or one seed.
pub fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("{text:?} is not a seed"));
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last - first >= SEEDS_MAX {
        return Err(format!("{text}: the range goes up and holds at most {SEEDS_MAX} seeds"));
    }
    Ok(first..=last)
}

impl What {
    /// The scenario by its name.
    pub fn scenario(&self) -> anyhow::Result<&'static Scenario> {
        let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == self.scenario) else {
            bail!("there is no scenario {:?}; `waggle-sim list` names them", self.scenario);
        };
        Ok(scenario)
    }

    /// What it is told.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        if self.hours.is_some_and(|hours| !(hours > 0.0 && hours <= scenarios::HOURS_MAX)) {
            bail!("--hours is more than 0 and at most {}", scenarios::HOURS_MAX);
        }
        if let Some(workload) = &self.workload
            && simulations::plan::workload::find(workload).is_none()
        {
            bail!("there is no workload {workload:?}; `waggle-sim list` names them");
        }
        let plan = match &self.plan {
            None => None,
            Some(file) => {
                let text = std::fs::read_to_string(file);
                let text = text.with_context(|| format!("cannot read the plan {}", file.display()))?;
                let plan = Plan::from_json(&text);
                Some(plan.with_context(|| format!("{} is no plan of this build", file.display()))?)
            }
        };
        if self.nodes.is_some_and(|nodes| !(1..=scenarios::NODES_MAX).contains(&nodes)) {
            bail!("--nodes is at least 1 and at most {}", scenarios::NODES_MAX);
        }
        Ok(Settings { hours: self.hours, workload: self.workload.clone(), nodes: self.nodes, plan })
    }

    /// Whether everything happens in some seed. It does in the weather as it comes: with one workload, or where every
    /// seed has a cell, much never happens.
    pub fn has_everything_in_store(&self) -> bool {
        self.scenario == scenarios::DEFAULT && self.workload.is_none() && self.nodes.is_none()
    }

    /// The same as arguments of another process.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--scenario".to_owned(), self.scenario.clone()];
        let mut add = |name: &str, value: Option<String>| {
            arguments.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        add("--hours", self.hours.map(|hours| hours.to_string()));
        add("--workload", self.workload.clone());
        add("--nodes", self.nodes.map(|nodes| nodes.to_string()));
        add("--plan", self.plan.as_ref().map(|plan| plan.display().to_string()));
        #[cfg(planted)]
        add("--bug", self.bug.clone());
        arguments
    }

    /// How another verb is told of a seed: its number, and whatever is not as it is by itself.
    pub fn again(&self, seed: u64) -> String {
        let (all, mut told) = (self.arguments(), seed.to_string());
        let plain = Self { scenario: scenarios::DEFAULT.to_owned(), ..Self::default() }.arguments();
        for argument in all.strip_prefix(plain.as_slice()).unwrap_or(&all) {
            told.push(' ');
            told.push_str(argument);
        }
        told
    }

    /// Plants the bug that was asked for.
    pub fn plant(&self) -> anyhow::Result<()> {
        #[cfg(planted)]
        if let Some(name) = &self.bug {
            let bug = cluster::planted::Bug::ALL.iter().copied().find(|bug| bug.name() == name);
            cluster::planted::choose(Some(bug.with_context(|| format!("no bug is called {name:?}"))?));
        }
        Ok(())
    }
}
