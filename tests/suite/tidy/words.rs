//! Words that must not be there: unfinished work, queues without a bound, wrong doors, the machine it was written on.

use super::{
    Rule, rust,
    tree::{File, Found, Tree},
};

/// The one file that may: it overrides the C library's clock and entropy.
const UNSAFE_ALLOWED: &str = "simulations/src/overrides.rs";
/// The rooms whose code asks nobody but the host for time, chance and tasks.
const PURE_ROOMS: [&str; 3] = ["proto", "cluster", "actors"];
/// Further doors that are closed there: files, sockets, the environment, generators that seed themselves.
const CLOSED_DOORS: [&str; 7] =
    ["std::fs", "tokio::fs", "std::net::Tcp", "tokio::net", "std::env", "rand::rng", "thread_rng"];
/// In code: work that was put off.
const UNFINISHED: [&str; 3] = ["todo!(", "unimplemented!(", "#[ignore"];
/// Anywhere: notes to oneself.
const NOTES: [&str; 3] = ["FIXME", "XXX", "HACK"];
/// Anywhere: what does not exist where this repository is read.
const ELSEWHERE: [&str; 10] = [
    "../shared",
    "/work/",
    "/root/",
    "/home/",
    "crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "proxy.golang.org",
    "deb.debian.org",
];
/// The file that decides whether a planted bug is there at all.
const THE_GATE: &str = "cluster/src/lib.rs";
/// These files have to name what they look for.
const SELF: &str = "tests/suite/tidy/";

/// The rules of this file.
pub const RULES: &[Rule] = &[WORK, QUEUES, UNSAFE, DOORS, PLANTED, STANDS_ALONE];

const WORK: Rule = Rule {
    says: "What is not done is not there: no todo!, ignored test or note to oneself",
    check: |tree| {
        let code = tree.ending(".rs").flat_map(|file| places(file, &rust::code(&file.text), &UNFINISHED));
        let texts = tree.files.iter().filter(|file| !file.path.starts_with(SELF));
        code.chain(texts.flat_map(|file| places(file, &file.text, &NOTES))).collect()
    },
};

const QUEUES: Rule = Rule {
    says: "Every queue has a named limit",
    check: |tree| {
        let unbounded = |file| places(file, &rust::code(&file.text), &["unbounded(", "unbounded_channel("]);
        tree.ending(".rs").flat_map(unbounded).collect()
    },
};

const UNSAFE: Rule = Rule {
    says: "Unsafe code is in the simulator's overrides and nowhere else",
    check: |tree| {
        let others = tree.ending(".rs").filter(|file| file.path != UNSAFE_ALLOWED);
        others.flat_map(|file| places(file, &rust::code(&file.text), &["unsafe"])).collect()
    },
};

const DOORS: Rule = Rule {
    says: "Time, chance, tasks, files and sockets come by argument: cluster::host::Host, Link, Store, FrameSocket",
    check: doors,
};

/// The doors that `.clippy.toml` closes, by their last two names, and our own; an `allow` opens none here.
fn doors(tree: &Tree) -> Vec<Found> {
    let banned = tree.file(".clippy.toml").map_or("", |file| &file.text);
    let paths = banned.split("path = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let last_two = paths.filter_map(|path| path.rmatch_indices("::").nth(1).map(|(at, _)| &path[at + 2..]));
    let mut names: Vec<&str> = last_two.chain(CLOSED_DOORS).collect();
    names.push("clippy::disallowed_methods");
    let tests = rust::test_modules(tree);
    let pure = |file: &&File| {
        let below = |module: &String| {
            let rest = file.path.strip_prefix(module.as_str());
            rest.is_some_and(|rest| rest.starts_with(['.', '/']))
        };
        let test = tests.iter().any(below) || !file.path.contains("/src/");
        PURE_ROOMS.contains(&file.room()) && !test
    };
    let files = tree.ending(".rs").filter(pure);
    files.flat_map(|file| places(file, &rust::product(&rust::code(&file.text)), &names)).collect()
}

const PLANTED: Rule = Rule {
    says: "What ships has no planted bugs but through `cluster::planted!`, which is nothing there",
    check: |tree| {
        let ships = |file: &&File| {
            let room = ["proto", "cluster", "actors", "cells"].contains(&file.room());
            room && file.path != THE_GATE
        };
        let files = tree.files.iter().filter(ships).filter(|file| !file.path.ends_with(".md"));
        files.flat_map(|file| places(file, &file.text, &["cfg(planted", "feature = \"planted"])).collect()
    },
};

const STANDS_ALONE: Rule = Rule {
    says: "The repository stands alone: it names no other folder, machine or registry host",
    check: |tree| {
        let files =
            tree.files.iter().filter(|file| file.path != "Cargo.lock" && !file.path.starts_with(SELF));
        files.flat_map(|file| places(file, &file.text, &ELSEWHERE)).collect()
    },
};

/// Every place of the words; a word that begins or ends with a letter stands by itself.
fn places(file: &File, text: &str, words: &[&str]) -> Vec<Found> {
    let mut found = Vec::new();
    for word in words {
        let part = |c: char| c.is_alphanumeric() || c == '_';
        for (at, _) in text.match_indices(word) {
            let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
            let begins_inside = word.starts_with(part) && before.is_some_and(part);
            let ends_inside = word.ends_with(part) && after.is_some_and(part) && !word.ends_with("Tcp");
            if !begins_inside && !ends_inside {
                found.push(file.found(rust::line_of(text, at), format!("{word:?}")));
            }
        }
    }
    found
}

#[test]
fn unfinished_work_is_found_in_code_and_notes_anywhere() {
    let text = "// todo!() in words is fine\nfn a() { todo!() }\n#[ignore = \"x\"]\n// FIXME\n// a HACKER\n";
    assert_eq!(
        super::planted(&WORK, &[("cells/src/a.rs", text)]),
        ["a.rs:2", "a.rs:3", "a.rs:4"].map(in_cells)
    );
}

#[test]
fn queues_without_a_bound_are_found_under_either_name() {
    let text = "mpsc::unbounded_channel();\nchannel::unbounded();\nmpsc::channel(8);\n// unbounded()\n";
    assert_eq!(super::planted(&QUEUES, &[("cells/src/a.rs", text)]), ["a.rs:2", "a.rs:1"].map(in_cells));
}

#[test]
fn unsafe_code_is_found_outside_the_overrides() {
    let text = "#![deny(unsafe_code)]\nunsafe { x() }\n";
    let files = [("cells/src/a.rs", text), (UNSAFE_ALLOWED, text)];
    assert_eq!(super::planted(&UNSAFE, &files), ["a.rs:2"].map(in_cells));
}

#[test]
fn a_wrong_door_is_found_in_the_pure_rooms_and_not_in_their_tests() {
    let bans = "disallowed-methods = [\n  { path = \"std::time::Instant::now\", reason = \"x\" },\n]\n";
    let text = "use std::net::IpAddr;\nlet t = Instant::now();\nuse std::fs;\n#[allow(clippy::disallowed_methods)]\n\
                use std::net::TcpStream;\n#[cfg(test)]\nmod tests {\n fn t() { Instant::now(); }\n}\n";
    let files = [
        (".clippy.toml", bans),
        ("cells/src/a.rs", text),
        ("cluster/src/a.rs", text),
        ("cluster/src/lib.rs", "#[cfg(test)]\nmod proof;\n"),
        ("cluster/src/proof/b.rs", text),
        ("cluster/build.rs", text),
    ];
    let expected = [2, 3, 5, 4].map(|line| format!("cluster/src/a.rs:{line}"));
    assert_eq!(super::planted(&DOORS, &files), expected);
}

#[test]
fn planted_bugs_are_found_in_what_ships_and_may_be_elsewhere() {
    let text = "#[cfg(planted)]\nfn a() {}\n";
    let files = [("cells/src/a.rs", text), ("simulations/src/a.rs", text)];
    assert_eq!(super::planted(&PLANTED, &files), ["a.rs:1"].map(in_cells));
}

#[test]
fn places_of_other_machines_are_found_in_any_file() {
    let files =
        [("README.md", "see ../shared/x\n"), ("tests/run", "\ncd /root/x\n"), ("a.md", "/networks/\n")];
    assert_eq!(super::planted(&STANDS_ALONE, &files), ["README.md:1", "tests/run:2"]);
}

#[cfg(test)]
fn in_cells(place: &str) -> String {
    format!("cells/src/{place}")
}
