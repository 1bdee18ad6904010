//! The style guide as a test: sizes, layout, headers, words, the crate graph, and documents that tell the truth.
//!
//! A rule is a function from the tree of files to what it found; each is tried on planted samples beside it.

mod crates;
mod documents;
mod headers;
mod layout;
mod rust;
mod sizes;
mod tree;
mod words;

use std::path::Path;
use tree::{Found, Tree};

/// One habit of the house.
struct Rule {
    /// What the habit is; printed after each place that breaks it.
    says: &'static str,
    /// The places that break it.
    check: fn(&Tree) -> Vec<Found>,
}

/// Every rule, by room.
fn rules() -> impl Iterator<Item = &'static Rule> {
    [layout::RULES, sizes::RULES, headers::RULES, words::RULES, crates::RULES, documents::RULES]
        .into_iter()
        .flatten()
}

#[test]
fn the_house_is_tidy() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the house");
    let tree = Tree::read(top).expect("the tree is readable");
    assert!(tree.files.len() > 200, "only {} files were found below {}", tree.files.len(), top.display());
    let broken: Vec<String> = rules()
        .flat_map(|rule| (rule.check)(&tree).into_iter().map(move |found| format!("{found}. {}", rule.says)))
        .collect();
    assert!(broken.is_empty(), "{} places are not tidy:\n{}", broken.len(), broken.join("\n"));
}

/// Runs a rule on invented files; answers `path:line` of each place that breaks it.
fn planted(rule: &Rule, files: &[(&str, &str)]) -> Vec<String> {
    let tree = Tree::of(files);
    (rule.check)(&tree).iter().map(|found| format!("{}:{}", found.path, found.line)).collect()
}
