//! An actor's file begins with what may be relied on.

use super::{Rule, rust, tree::File};

/// Files of actors that no `impl Actor` gives away: tasks with a bounded mailbox, and the doors of a node.
const ACTORS: [&str; 5] = [
    "actors/src/gateway.rs",
    "actors/src/relay.rs",
    "actors/src/session.rs",
    "actors/src/shard.rs",
    "cells/src/gateway.rs",
];
/// The four lines, in this order, a line each or more.
const LINES: [&str; 4] = ["//! Owns: ", "//! Promises: ", "//! May lose: ", "//! Never does: "];

/// The rules of this file.
pub const RULES: &[Rule] = &[HEADERS, DOCS];

const HEADERS: Rule = Rule {
    says: "An actor's file opens with four lines: Owns, Promises, May lose, Never does",
    check: |tree| {
        let is_actor = |file: &&File| {
            let product = ["cluster", "actors", "cells"].contains(&file.room());
            ACTORS.contains(&file.path.as_str())
                || product && rust::product(&rust::code(&file.text)).contains("impl Actor for ")
        };
        let without = tree.ending(".rs").filter(is_actor).filter_map(|file| {
            let mut docs = file.text.lines().take_while(|line| line.starts_with("//!"));
            let missing = LINES.iter().find(|begin| !docs.any(|line| line.starts_with(*begin)))?;
            Some(file.found(1, format!("no line {:?} where it is due", missing.trim_end())))
        });
        without.collect()
    },
};

const DOCS: Rule = Rule {
    says: "A module of the product says in its first line what it is",
    check: |tree| {
        let silent = |file: &&File| {
            file.path.contains("/src/") && file.name() != "tests.rs" && !file.text.starts_with("//! ")
        };
        tree.ending(".rs").filter(silent).map(|file| file.found(1, "no module comment")).collect()
    },
};

#[test]
fn an_actor_without_the_four_lines_in_order_is_found() {
    let four =
        "//! An actor.\n//!\n//! Owns: a\n//! Promises: b\n//! May lose: c,\n//! d\n//! Never does: e\n";
    let good = format!("{four}impl Actor for A {{}}\n");
    let swapped = good.replace("Owns", "X").replace("Promises", "Owns").replace("X:", "Promises:");
    let files = [
        ("actors/src/a.rs", good.as_str()),
        ("actors/src/b.rs", swapped.as_str()),
        ("actors/src/c.rs", "impl Actor for C {}"),
        ("actors/src/d.rs", "// impl Actor for D {}"),
        ("actors/src/relay.rs", "//! A relay.\n//! Owns: a\n"),
        ("simulations/src/e.rs", "impl Actor for E {}"),
    ];
    let expected = ["actors/src/b.rs:1", "actors/src/c.rs:1", "actors/src/relay.rs:1"];
    assert_eq!(super::planted(&HEADERS, &files), expected);
}

#[test]
fn a_module_that_does_not_say_what_it_is_is_found() {
    let files =
        [("cells/src/a.rs", "//! A thing.\n"), ("cells/src/b.rs", "use a;\n"), ("cells/src/b/tests.rs", "")];
    assert_eq!(super::planted(&DOCS, &files), ["cells/src/b.rs:1"]);
}
