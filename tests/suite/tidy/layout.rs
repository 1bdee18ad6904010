//! Where things stand: what may lie at the top, how deep a crate goes, how files are named.

use super::{
    Rule,
    tree::{File, Found, Tree},
};

/// The rooms, in the only direction they may depend.
pub const ROOMS: [&str; 6] = ["proto", "cluster", "actors", "cells", "simulations", "tests"];
/// What may lie at the top besides rooms and dotfiles.
const TOP: [&str; 6] =
    ["Cargo.toml", "Cargo.lock", "README.md", "ARCHITECTURE.md", "LICENSE", "rust-toolchain.toml"];
/// Folders below a crate's `src` (below `suite` in tests).
const FOLDERS_MAX: usize = 2;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "misc", "shared", "stuff"];

/// The rules of this file.
pub const RULES: &[Rule] = &[TOP_LEVEL, DEPTH, BESIDE, NAMES, TOOLCHAIN];

const TOP_LEVEL: Rule = Rule {
    says: "At the top lie six rooms, six files and dotfiles, nothing else; and all six files do",
    check: |tree| {
        let known = |room: &str| room.starts_with('.') || ROOMS.contains(&room) || TOP.contains(&room);
        let strange = tree.files.iter().filter(|file| !known(file.room()));
        let missing = TOP.iter().filter(|path| tree.file(path).is_none());
        let absent = |path: &&str| Found { path: (*path).into(), line: 1, what: "it is missing".into() };
        strange.map(|file| file.found(1, file.room())).chain(missing.map(absent)).collect()
    },
};

const DEPTH: Rule = Rule {
    says: "A crate is at most two folders deep below its src; tests lie beside what they test",
    check: |tree| {
        let deep = |file: &&File| {
            let inside = file.path.split('/').skip_while(|part| !["src", "suite"].contains(part));
            inside.count() > FOLDERS_MAX + 2 + usize::from(file.name() == "tests.rs")
        };
        tree.ending(".rs").filter(deep).map(|file| file.found(1, "too deep")).collect()
    },
};

const BESIDE: Rule =
    Rule { says: "A module with parts is foo.rs beside foo/, never foo/mod.rs", check: beside };

fn beside(tree: &Tree) -> Vec<Found> {
    let mut found = Vec::new();
    for file in tree.ending(".rs") {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        if name == "mod.rs" {
            found.push(file.found(1, "mod.rs"));
        }
        let root = ["src", "suite", "benches"].contains(&folder.rsplit('/').next().unwrap_or_default());
        if folder.contains('/') && !root && tree.file(&format!("{folder}.rs")).is_none() {
            found.push(file.found(1, format!("there is no {folder}.rs")));
        }
    }
    found
}

const NAMES: Rule = Rule {
    says: "A file is named for the one noun or verb in it, not utils, common, helpers or misc",
    check: |tree| {
        let empty = |part: &str| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or(part));
        let files = tree.files.iter().filter(|file| file.path.split('/').any(empty));
        files.map(|file| file.found(1, "a name that says nothing")).collect()
    },
};

const TOOLCHAIN: Rule = Rule {
    says: "rust-toolchain.toml names a channel and nothing else",
    check: |tree| {
        let Some(file) = tree.file("rust-toolchain.toml") else { return Vec::new() };
        let lines: Vec<&str> = file.text.lines().collect();
        match lines[..] {
            ["[toolchain]", channel] if channel.starts_with("channel = ") => Vec::new(),
            _ => vec![file.found(lines.len(), "more or less than a channel")],
        }
    },
};

#[test]
fn a_stranger_at_the_top_is_found_and_so_is_what_is_missing_there() {
    let files = [
        ("Cargo.toml", ""),
        ("Cargo.lock", ""),
        ("LICENSE", ""),
        ("README.md", ""),
        ("rust-toolchain.toml", ""),
        (".ci/run", ""),
        ("cells/src/lib.rs", ""),
        ("docs/a.md", ""),
    ];
    assert_eq!(super::planted(&TOP_LEVEL, &files), ["docs/a.md:1", "ARCHITECTURE.md:1"]);
}

#[test]
fn three_folders_below_src_are_too_deep() {
    let files = [
        ("cells/src/a/b/c.rs", ""),
        ("cells/src/a/b/c/d.rs", ""),
        ("cells/src/a/b/c/tests.rs", ""),
        ("tests/suite/a/b/c/d.rs", ""),
    ];
    assert_eq!(super::planted(&DEPTH, &files), ["cells/src/a/b/c/d.rs:1", "tests/suite/a/b/c/d.rs:1"]);
}

#[test]
fn a_folder_without_its_file_is_found_and_so_is_mod_rs() {
    let files = [
        ("cells/build.rs", ""),
        ("cells/src/lib.rs", ""),
        ("cells/src/a.rs", ""),
        ("cells/src/a/b.rs", ""),
        ("cells/src/c/d.rs", ""),
        ("cells/src/a/mod.rs", ""),
    ];
    assert_eq!(super::planted(&BESIDE, &files), ["cells/src/c/d.rs:1", "cells/src/a/mod.rs:1"]);
}

#[test]
fn empty_names_are_found_in_files_and_folders() {
    let files = [("cells/src/utils.rs", ""), ("tests/common/a.py", ""), ("cells/src/commons.rs", "")];
    assert_eq!(super::planted(&NAMES, &files), ["cells/src/utils.rs:1", "tests/common/a.py:1"]);
}

#[test]
fn a_toolchain_with_components_is_found() {
    let planted = |text| super::planted(&TOOLCHAIN, &[("rust-toolchain.toml", text)]);
    assert_eq!(planted("[toolchain]\nchannel = \"1.95.0\"\n"), [""; 0]);
    assert_eq!(planted("[toolchain]\nchannel = \"1.95.0\"\ncomponents = []\n"), ["rust-toolchain.toml:3"]);
}
