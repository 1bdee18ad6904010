//! `bugs`: tests the tester. Each planted bug must be found, and by what.

use clap::Args;

/// Find every planted bug; for builds that have them.
#[derive(Args)]
pub struct Bugs {
    /// Only these.
    #[arg(long)]
    only: Vec<String>,
    /// Seeds in which a bug must be found.
    #[arg(long, default_value_t = 500)]
    seeds_max: u64,
    /// Shrink each finding, and say how small it gets.
    #[arg(long)]
    shrink: bool,
}

#[cfg(not(planted))]
impl Bugs {
    /// There are none in this build.
    pub fn run(&self) -> anyhow::Result<std::process::ExitCode> {
        let Self { only: _, seeds_max: _, shrink: _ } = self;
        anyhow::bail!(
            "this build has no planted bugs: RUSTFLAGS='--cfg planted' cargo build -p simulations --bins --target-dir \
             target/planted, then target/planted/debug/waggle-sim bugs"
        )
    }
}

#[cfg(planted)]
mod planted {
    use super::Bugs;
    use crate::cli::{pool, shrink, what::What};
    use cluster::planted::Bug;
    use simulations::sometimes::Watch;
    use std::{ops::ControlFlow, process::ExitCode};

    /// Processor seconds after which a seed is said to spin.
    const CPU_SECONDS: u64 = 30;
    /// Nodes of the cells in which bugs of cells are looked for.
    const NODES: usize = 3;
    /// Plans that are tried to shrink one finding.
    const TRIES: usize = 250;

    /// How a bug was found: by the seed of this number, counted from 1.
    struct Found {
        seed: u64,
        by: String,
    }

    impl Bugs {
        /// Looks for each; 1 when one was not found.
        pub fn run(&self) -> anyhow::Result<ExitCode> {
            println!("{:<28} {:<12} {:>5}  {:<28} what it does", "bug", "breaks", "seeds", "found by");
            let (mut found_all, mut missed, mut sizes) = (0, 0, Vec::new());
            for bug in Bug::ALL
                .iter()
                .filter(|bug| self.only.is_empty() || self.only.iter().any(|n| n == bug.name()))
            {
                let nodes = bug.is_of_cells().then_some(NODES);
                let scenario = if bug.is_of_cut_links() { "company" } else { "weather" };
                let name = Some(bug.name().into());
                let what = What { scenario: scenario.into(), bug: name, nodes, ..What::default() };
                let found = self.find(&what)?;
                let (seeds, by) = match &found {
                    Some(found) => (found.seed.to_string(), found.by.clone()),
                    None => ("-".into(), "NOT FOUND".into()),
                };
                missed += usize::from(found.is_none());
                found_all += usize::from(found.is_some());
                println!("{:<28} {:<12} {seeds:>5}  {by:<28} {}", bug.name(), bug.breaks(), bug.about());
                // Only the weather follows plans, which can be made smaller.
                if let (true, Some(found)) = (self.shrink && scenario == "weather", found)
                    && found.by != "never happens"
                {
                    let file =
                        std::env::temp_dir().join(format!("waggle-sim-{}-{}.json", bug.name(), found.seed));
                    let small = shrink::smallest(found.seed, &what, file, TRIES)?;
                    let (faults, deeds) = (small.plan.faults.len(), small.plan.deeds.len());
                    println!("{:<28} {faults} faults, {deeds} deeds after {} tries", "", small.tries);
                    sizes.push((faults, deeds));
                }
            }
            if !sizes.is_empty() {
                let median = |mut all: Vec<usize>| {
                    all.sort_unstable();
                    all[all.len() / 2]
                };
                let faults = median(sizes.iter().map(|(faults, _)| *faults).collect());
                let deeds = median(sizes.iter().map(|(_, deeds)| *deeds).collect());
                println!("median of {}: {faults} faults, {deeds} deeds", sizes.len());
            }
            println!("{found_all} found, {missed} not found");
            Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }

        fn find(&self, what: &What) -> anyhow::Result<Option<Found>> {
            let (mut found, mut watch) = (None, Watch::default());
            pool::run(
                1..=self.seeds_max,
                &|seed| pool::start(seed, what, Some(CPU_SECONDS)),
                &mut |ended| {
                    let is_watched = what.has_everything_in_store();
                    let never =
                        watch.next(ended.counts()).filter(|missing| is_watched && !missing.is_empty());
                    let Some(by) = ended.property().or(never.map(|_| "never happens".to_owned())) else {
                        return Ok(ControlFlow::Continue(()));
                    };
                    found = Some(Found { seed: ended.seed, by });
                    Ok(ControlFlow::Break(()))
                },
            )?;
            Ok(found)
        }
    }
}
