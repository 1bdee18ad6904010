//! Documents name what is there.

use super::{
    Rule,
    layout::ROOMS,
    tree::{File, Found, Tree},
};

/// Documents whose paths must exist.
const DOCUMENTS: [&str; 2] = ["ARCHITECTURE.md", "README.md"];
/// Kinds of files that are named by their whole path.
const KINDS: [&str; 5] = [".rs", ".toml", ".proto", ".md", ".py"];

/// The rules of this file.
pub const RULES: &[Rule] = &[PATHS, LINKS];

const PATHS: Rule = Rule {
    says: "A path in a document exists and is whole, from the top",
    check: |tree| {
        let documents = DOCUMENTS.iter().filter_map(|path| tree.file(path));
        documents.flat_map(|file| paths(tree, file)).collect()
    },
};

/// Looks at what stands between backticks and at words of code blocks.
fn paths(tree: &Tree, file: &File) -> Vec<Found> {
    let mut found = Vec::new();
    let mut block = false;
    for (line, text) in file.lines() {
        if text.trim_start().starts_with("```") {
            block = !block;
            continue;
        }
        let spans: Vec<&str> = if block { vec![text] } else { text.split('`').skip(1).step_by(2).collect() };
        for word in spans.iter().flat_map(|span| span.split_whitespace()) {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !"./_*".contains(c));
            if is_path(word, block) && !exists(tree, word) {
                found.push(file.found(line, format!("there is no {word}")));
            }
        }
    }
    found
}

fn is_path(word: &str, block: bool) -> bool {
    let room = word.split('/').next().unwrap_or_default();
    let inside = word.contains('/') && (ROOMS.contains(&room) || room == ".ci");
    let file = !block && !word.contains("::") && KINDS.iter().any(|kind| word.ends_with(kind));
    inside || file && !word.starts_with('/')
}

fn exists(tree: &Tree, word: &str) -> bool {
    match word.split_once('*') {
        None => tree.has(word),
        Some((begin, end)) => {
            tree.files.iter().any(|file| file.path.starts_with(begin) && file.path.ends_with(end))
        }
    }
}

const LINKS: Rule = Rule {
    says: "A link from one document to another leads there",
    check: |tree| {
        let mut found = Vec::new();
        for file in tree.ending(".md") {
            let folder = file.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
            for (line, text) in file.lines() {
                let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
                let local = targets.filter(|target| !target.contains(':') && !target.starts_with('#'));
                let paths = local.map(|target| target.split('#').next().unwrap_or(target));
                let broken = paths.filter(|path| !tree.has(&format!("{folder}{path}")));
                found.extend(broken.map(|path| file.found(line, format!("there is no {path}"))));
            }
        }
        found
    },
};

#[test]
fn paths_that_do_not_exist_are_found() {
    let text = "See `cells/src/a.rs`, `cells/src/b.rs:3` and `a.rs`, `text/html`, `proto::id`.\n\
                ```\ncells/src/c.rs --config my.toml\n```\n`cells/src/*.rs` `proto/*.md` `cells/` `serve a.toml`\n\
                `cells/out/a.log` `cells/out`\n";
    let ignored = (".gitignore", "/cells/out/\n");
    let files = [ignored, ("README.md", text), ("cells/src/a.rs", ""), ("cells/PROTOCOL.md", "`none.rs`")];
    let expected = [1, 1, 3, 5, 5].map(|line| format!("README.md:{line}"));
    assert_eq!(super::planted(&PATHS, &files), expected);
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let text = "[a](b.md#x) [c](https://example.com/c.md) [d](e.md) [f](#g)\n";
    let files = [("proto/a.md", text), ("proto/b.md", "")];
    assert_eq!(super::planted(&LINKS, &files), ["proto/a.md:1"]);
}
