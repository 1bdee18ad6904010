//! How long and how wide things may be.

use super::{
    Rule, rust,
    tree::{Found, Tree},
};

/// Lines of a Rust file. Most have 150 to 300.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from its `fn` to its brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Columns of a line. Code is broken at 110 by rustfmt; comments and texts, which it leaves alone, get a little more.
const LINE_COLUMNS_MAX: usize = 120;

/// The rules of this file.
pub const RULES: &[Rule] = &[FILES, FUNCTIONS, LINES];

const FILES: Rule = Rule {
    says: "A file has at most 500 lines: split it by its nouns",
    check: |tree| {
        let long = |file: &&super::tree::File| file.text.lines().count() > FILE_LINES_MAX;
        let found = |file: &super::tree::File| {
            file.found(FILE_LINES_MAX + 1, format!("{} lines", file.text.lines().count()))
        };
        tree.ending(".rs").filter(long).map(found).collect()
    },
};

const FUNCTIONS: Rule = Rule { says: "A function has at most 70 lines: name its steps", check: functions };

fn functions(tree: &Tree) -> Vec<Found> {
    let mut found = Vec::new();
    for file in tree.ending(".rs") {
        let code = rust::code(&file.text);
        for (name, at) in rust::functions(&code) {
            let lines = code[at.clone()].lines().count();
            if lines > FUNCTION_LINES_MAX {
                found.push(file.found(rust::line_of(&code, at.start), format!("{name} has {lines} lines")));
            }
        }
    }
    found
}

const LINES: Rule = Rule {
    says: "A line of Rust or of a schema has at most 120 columns",
    check: |tree| {
        let files =
            tree.files.iter().filter(|file| [".rs", ".proto"].iter().any(|end| file.path.ends_with(end)));
        let wide = |file: &super::tree::File| -> Vec<Found> {
            let columns = file.lines().map(|(line, text)| (line, text.chars().count()));
            let wide = columns.filter(|(_, columns)| *columns > LINE_COLUMNS_MAX);
            wide.map(|(line, columns)| file.found(line, format!("{columns} columns"))).collect()
        };
        files.flat_map(wide).collect()
    },
};

#[test]
fn a_file_of_501_lines_is_too_long_and_one_of_500_is_not() {
    let (fits, long) = ("\n".repeat(500), "\n".repeat(501));
    let files =
        [("cells/src/a.rs", fits.as_str()), ("cells/src/b.rs", long.as_str()), ("b.md", long.as_str())];
    assert_eq!(super::planted(&FILES, &files), ["cells/src/b.rs:501"]);
}

#[test]
fn a_function_of_71_lines_is_too_long_and_one_of_70_is_not() {
    let function = |name: &str, inside: usize| format!("fn {name}() {{\n{}}}\n", "    {}\n".repeat(inside));
    let text = function("fits", 68) + &function("long", 69);
    assert_eq!(super::planted(&FUNCTIONS, &[("cells/src/a.rs", &text)]), ["cells/src/a.rs:71"]);
}

#[test]
fn a_line_of_121_columns_is_too_wide_and_one_of_120_is_not() {
    let text = format!("// {}\n// {}\n", "é".repeat(117), "é".repeat(118));
    assert_eq!(super::planted(&LINES, &[("a.rs", &text), ("a.md", &text)]), ["a.rs:2"]);
}
