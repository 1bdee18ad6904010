//! Mutation testing of the parts of Waggle that must not be wrong, in one build.
//!
//! `cargo mutants` builds once for each mutant, which for these crates is half a day. Here every mutant is compiled
//! into a copy of the workspace at once, behind a check of a number that the environment gives, and each then costs
//! what its tests cost. A mutant is killed if a unit test or a simulated day fails with it. See `mutate` for what is
//! mutated, and `survivors.txt` for why some are not killed.

mod mutate;
mod run;
mod survivors;
mod tree;

use anyhow::Context;
use mutate::Mutant;
use std::{collections::BTreeMap, env, path::PathBuf};

/// What is mutated: a name, and the files, relative to the workspace.
const PARTS: [(&str, &[&str]); 4] = [
    ("fence", &["cluster/src/fence", "actors/src/store/fence.rs"]),
    (
        "log",
        &[
            "actors/src/channel/log.rs",
            "actors/src/channel/window.rs",
            "actors/src/channel/flight.rs",
            "actors/src/channel/replay.rs",
        ],
    ),
    (
        "views",
        &[
            "actors/src/conversation.rs",
            "actors/src/conversation",
            "actors/src/inbox.rs",
            "actors/src/roster.rs",
        ],
    ),
    ("session", &["actors/src/session.rs", "actors/src/session"]),
];
/// Of a hundred mutants that many are killed at least.
const KILLED_MIN: usize = 90;

fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let wanted: Vec<String> = env::args().skip(1).collect();
    let parts: Vec<_> =
        PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name)).collect();
    anyhow::ensure!(!parts.is_empty(), "parts are {:?}", PARTS.map(|(name, _)| name));
    // Before the build: a mistake in the list is told at once.
    let known = survivors::Known::read(&root, &PARTS.map(|(name, _)| name))?;
    let tree = tree::Tree::copy(&root).context("the workspace cannot be copied")?;
    let mut mutants: BTreeMap<u32, Mutant> = BTreeMap::new();
    for (part, places) in parts {
        for file in tree.files(places)? {
            let source = tree.source(&file)?;
            let next = mutants.len() as u32 + 1;
            mutants.extend(
                mutate::mutants(part, &file, &source, next)?
                    .into_iter()
                    .map(|mutant| (mutant.number, mutant)),
            );
        }
    }
    let planned = mutants.len();
    let binaries = tree.build(&mut mutants)?;
    eprintln!("{} of {planned} mutants compile", mutants.len());
    let timed = run::timed(binaries)?;
    let (mut is_enough, mut unlisted) = (true, 0);
    for (part, _) in &PARTS {
        let of_part: BTreeMap<u32, Mutant> =
            mutants.extract_if(.., |_, mutant| mutant.part == *part).collect();
        if of_part.is_empty() {
            continue;
        }
        let (all, survivors) = (of_part.len(), run::all(&timed, part, &of_part));
        unlisted += known.tell(part, &of_part, &survivors);
        let killed = all - survivors.len();
        println!("{part}: {killed} of {all} mutants killed, {} %", 100 * killed / all);
        is_enough &= 100 * killed >= KILLED_MIN * all;
    }
    println!("{unlisted} survivors have no reason in {}", survivors::LIST);
    anyhow::ensure!(is_enough, "fewer than {KILLED_MIN} of 100 were killed");
    Ok(())
}
