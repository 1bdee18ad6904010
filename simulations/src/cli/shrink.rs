//! `shrink`: the smallest plan that still breaks the promise.

use crate::cli::{
    pool::{self, Ended},
    what::What,
};
use anyhow::{Context, bail};
use clap::Args;
use simulations::{
    plan::Plan,
    scenarios::weather,
    shrink,
    world::{World, trace::Telling},
};
use std::{fs, path::PathBuf, process::ExitCode};

/// Processor seconds of one try.
const CPU_SECONDS: u64 = 60;

/// Make the plan of a seed that breaks a promise as small as it can be.
#[derive(Args)]
pub struct Shrink {
    /// The seed.
    seed: u64,
    /// Where the small plan goes; `plan-SEED.json` by default.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Most plans that are tried.
    #[arg(long, default_value_t = 400)]
    tries: usize,
    #[command(flatten)]
    what: What,
}

/// A small plan, and how small.
pub struct Small {
    /// Where it is.
    pub file: PathBuf,
    /// The promise that it breaks.
    pub property: String,
    /// What it is.
    pub plan: Plan,
    /// Plans that were tried.
    pub tries: usize,
}

impl Shrink {
    /// Shrinks, and says how to see what is left.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let file = self.output.clone().unwrap_or_else(|| format!("plan-{}.json", self.seed).into());
        let small = smallest(self.seed, &self.what, file, self.tries)?;
        let Small { file, property, plan, tries } = &small;
        println!(
            "«{property}» is still broken by {} faults and {} deeds of {} clients on {} nodes ({tries} plans tried)",
            plan.faults.len(),
            plan.deeds.len(),
            plan.clients.len(),
            plan.sites.len(),
        );
        let told = What { plan: Some(file.clone()), ..self.what.clone() };
        println!("its story: waggle-sim replay {} {} --story", self.seed, told.arguments().join(" "));
        Ok(ExitCode::SUCCESS)
    }
}

/// Shrinks the plan of a seed into `file`.
pub fn smallest(seed: u64, what: &What, file: PathBuf, tries: usize) -> anyhow::Result<Small> {
    let first = pool::finish(seed, pool::start(seed, what, Some(CPU_SECONDS))?)?;
    let Some(property) = first.property() else {
        bail!("seed {seed} keeps its promises: there is nothing to shrink")
    };
    let plan = plan_of(seed, what)?;
    let attempt = What { plan: Some(file.clone()), ..what.clone() };
    let mut trouble = None;
    let mut fails = |plan: &Plan| {
        let broken = fs::write(&file, plan.to_json())
            .context("cannot write the plan")
            .and_then(|()| pool::finish(seed, pool::start(seed, &attempt, Some(CPU_SECONDS))?));
        match broken {
            Ok(ended) => ended.property().as_ref() == Some(&property),
            Err(error) => {
                trouble.get_or_insert(error);
                false
            }
        }
    };
    let shrunk = shrink::shrink(plan, broke_at_ms(&first), tries, &mut fails);
    if let Some(error) = trouble {
        return Err(error);
    }
    fs::write(&file, shrunk.plan.to_json()).context("cannot write the plan")?;
    Ok(Small { file, property, plan: shrunk.plan, tries: shrunk.tries })
}

/// When the promise was seen broken, from the beginning of the plan.
fn broke_at_ms(ended: &Ended) -> u64 {
    let line = &ended.line;
    let at = line["hours"].as_f64().unwrap_or(1.0) * 3600.0 - line["begun_s"].as_f64().unwrap_or_default();
    (at.max(0.0) * 1000.0) as u64 + 1
}

/// The plan that a seed draws.
pub fn plan_of(seed: u64, what: &What) -> anyhow::Result<Plan> {
    if what.scenario != simulations::scenarios::DEFAULT {
        bail!("only the weather follows a plan");
    }
    let (settings, (tell, told)) = (what.settings()?, std::sync::mpsc::channel());
    World::simulate(seed, Telling::Silent, |world| async move {
        // The receiver waits below.
        let _ = tell.send(weather::plan(&world, &settings));
        Ok(())
    });
    told.recv().context("the seed draws no plan")
}
