//! Runs the tests with each mutant.

use crate::{
    mutate::Mutant,
    tree::{Binaries, Binary, CHOOSES, STORE_CONTRACT},
};
use anyhow::ensure;
use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// A program that takes so many times as long as without a mutant is in a loop: the mutant is found.
const SLOWER_MAX: u32 = 5;
/// And never shorter than this.
const PATIENCE_MIN: Duration = Duration::from_secs(20);

/// How long each program takes without a mutant, the quickest first: most mutants are found by what takes no time.
pub fn timed(binaries: Binaries) -> anyhow::Result<Vec<(Duration, Binary)>> {
    let mut timed = Vec::new();
    for (program, arguments) in binaries {
        let began = Instant::now();
        ensure!(
            passes(&program, &arguments, 0, Duration::from_secs(600)),
            "{program:?} fails without a mutant"
        );
        timed.push((began.elapsed(), (program, arguments)));
    }
    timed.sort();
    Ok(timed)
}

/// The mutants of a part that none of its programs finds.
pub fn all(timed: &[(Duration, Binary)], part: &str, mutants: &BTreeMap<u32, Mutant>) -> BTreeSet<u32> {
    let concerns = |(_, (_, arguments)): &&(Duration, Binary)| {
        let of_engines = arguments.iter().any(|argument| argument == STORE_CONTRACT);
        !of_engines || part == "fence"
    };
    let timed: Vec<_> = timed.iter().filter(concerns).collect();
    let numbers: Vec<u32> = mutants.keys().copied().collect();
    let (next, survivors) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(number) = numbers.get(next.fetch_add(1, Relaxed)) {
                    let survives = timed.iter().all(|(took, (program, arguments))| {
                        passes(program, arguments, *number, (*took * SLOWER_MAX).max(PATIENCE_MIN))
                    });
                    if survives {
                        eprintln!("survives: {}", mutants[number]);
                        survivors.lock().unwrap_or_else(PoisonError::into_inner).insert(*number);
                    }
                }
            });
        }
    });
    survivors.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn passes(program: &Path, arguments: &[String], number: u32, patience: Duration) -> bool {
    let child = Command::new(program)
        .args(arguments)
        .env(CHOOSES, number.to_string())
        .current_dir(program.parent().unwrap_or(Path::new(".")))
        // They keep it beside the nearest source of that name, which is the workspace's own.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // With the nodes that it starts, to end them with it.
        .process_group(0)
        .spawn();
    let Ok(mut child) = child else { return false };
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
            _ => {
                let group = format!("-{}", child.id());
                let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                let _ = child.wait();
                return false;
            }
        }
    }
}
