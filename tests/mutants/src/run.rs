//! Runs the tests with each mutant.

use crate::{
    mutate::Mutant,
    tree::{Binaries, CHOOSES},
};
use anyhow::ensure;
use std::{
    collections::{BTreeMap, BTreeSet},
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
const SLOWER_MAX: u32 = 10;
/// And never shorter than this.
const PATIENCE_MIN: Duration = Duration::from_secs(20);

/// The mutants that no program finds.
pub fn all(binaries: &Binaries, mutants: &BTreeMap<u32, Mutant>) -> anyhow::Result<BTreeSet<u32>> {
    let mut patience = Vec::new();
    for (program, arguments) in binaries {
        let began = Instant::now();
        ensure!(
            passes(program, arguments, 0, Duration::from_secs(600)),
            "{program:?} fails without a mutant"
        );
        patience.push((began.elapsed() * SLOWER_MAX).max(PATIENCE_MIN));
    }
    let numbers: Vec<u32> = mutants.keys().copied().collect();
    let (next, survivors) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(number) = numbers.get(next.fetch_add(1, Relaxed)) {
                    let survives = binaries.iter().zip(&patience).all(|((program, arguments), patience)| {
                        passes(program, arguments, *number, *patience)
                    });
                    if survives {
                        eprintln!("survives: {}", mutants[number]);
                        survivors.lock().unwrap_or_else(PoisonError::into_inner).insert(*number);
                    }
                }
            });
        }
    });
    Ok(survivors.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn passes(program: &Path, arguments: &[String], number: u32, patience: Duration) -> bool {
    let child = Command::new(program)
        .args(arguments)
        .env(CHOOSES, number.to_string())
        // Where property tests leave what they found.
        .current_dir(program.parent().unwrap_or(Path::new(".")))
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return false };
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}
