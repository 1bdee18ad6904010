//! Seeds in processes of their own: the actor library keeps process-wide tables. As many at once as there are cores;
//! what they print comes in the order of the seeds.

use crate::cli::what::What;
use anyhow::Context;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread::{self, available_parallelism},
};

/// A seed's process at its end.
pub struct Ended {
    /// The seed.
    pub seed: u64,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its line, null when it came to none.
    pub line: Value,
}

impl Ended {
    /// All promises held.
    pub fn held(&self) -> bool {
        self.status.success()
    }
    /// The broken promise; a process without a verdict (it spins and was killed, or it failed) broke one as well.
    pub fn property(&self) -> Option<String> {
        let named = || self.line["property"].as_str().unwrap_or("killed").to_owned();
        (!self.held()).then(named)
    }
    /// Everything that it counted.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.line["counts"].as_object().into_iter().flatten();
        counts.map(|(name, count)| (name.as_str(), count.as_u64().unwrap_or_default()))
    }
}

/// A seed is over before it would pay to give memory back, or to clear two MiB at a time of which it needs a part.
/// Without this one part in fourteen of its time goes into pages (24 seeds, three times: 23.95 s, so 22.2 s).
const KEPT_MEMORY: [(&str, &str); 2] = [("MIMALLOC_PURGE_DELAY", "-1"), ("MIMALLOC_ALLOW_THP", "0")];

/// Starts the replay of a seed. `cpu_seconds`: after so much processor time it is killed.
pub fn start(seed: u64, what: &What, cpu_seconds: Option<u64>) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find the own program")?;
    Command::new(program)
        .args(["replay", &seed.to_string(), "--json"])
        .args(what.arguments())
        .envs(KEPT_MEMORY)
        .args(cpu_seconds.iter().flat_map(|limit| ["--cpu-seconds".to_owned(), limit.to_string()]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the process of a seed")
}

/// Waits for a process.
pub fn finish(seed: u64, child: Child) -> anyhow::Result<Ended> {
    let output = child.wait_with_output().context("lost the process of a seed")?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let line = stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    Ok(Ended { seed, stdout, stderr, status: output.status, line })
}

/// Runs seeds until there are no more, or `each` has seen enough. A seed that takes long holds up what is told of the
/// others and not the others.
pub fn run(
    seeds: impl Iterator<Item = u64> + Send,
    start: &(dyn Fn(u64) -> anyhow::Result<Child> + Sync),
    each: &mut dyn FnMut(Ended) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    let at_once = available_parallelism().map_or(1, usize::from);
    let (seeds, enough) = (Mutex::new(seeds.enumerate()), AtomicBool::new(false));
    let (ended, told) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..at_once {
            let (seeds, enough, ended) = (&seeds, &enough, ended.clone());
            scope.spawn(move || {
                while !enough.load(Relaxed) {
                    let Some((number, seed)) = seeds.lock().unwrap_or_else(PoisonError::into_inner).next()
                    else {
                        return;
                    };
                    let outcome = start(seed).and_then(|child| finish(seed, child));
                    if ended.send((number, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        let outcome = in_order(told, each);
        enough.store(true, Relaxed);
        outcome
    })
}

/// Passes on what ends in the order of the numbers.
fn in_order(
    told: mpsc::Receiver<(usize, anyhow::Result<Ended>)>,
    each: &mut dyn FnMut(Ended) -> anyhow::Result<ControlFlow<()>>,
) -> anyhow::Result<()> {
    let (mut waiting, mut next) = (BTreeMap::new(), 0);
    for (number, outcome) in told {
        waiting.insert(number, outcome);
        while let Some(outcome) = waiting.remove(&next) {
            next += 1;
            if each(outcome?)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}
