//! The crate graph goes one way, and every dependency says why it is there.

use super::{
    Rule,
    layout::ROOMS,
    tree::{File, Found, Tree},
};
use toml::{Table, Value};

/// Packages that a room must not know, whoever brings them.
const STRANGERS: [(&str, &[&str]); 3] = [
    ("proto", &["tokio", "ractor", "futures", "tracing", "metrics", "getrandom"]),
    ("cluster", &["redb", "scylla", "hyper", "tungstenite", "tokio-tungstenite", "clap", "getrandom"]),
    ("actors", &["redb", "scylla", "hyper", "tungstenite", "tokio-tungstenite", "clap", "getrandom"]),
];
/// The only source of packages.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The rules of this file.
pub const RULES: &[Rule] = &[DIRECTION, UNKNOWN, ONE_TABLE, WHY, USED, SOURCE];

const DIRECTION: Rule = Rule {
    says: "Rooms depend one way: proto <- cluster <- actors <- cells <- simulations <- tests",
    check: |tree| {
        let backwards = |(file, room, name): &(&File, usize, String)| {
            let other = ROOMS.iter().position(|other| other == name)?;
            (other >= *room).then(|| at(file, name, format!("{} depends on {name}", ROOMS[*room])))
        };
        uses(tree).iter().filter_map(backwards).collect()
    },
};

const UNKNOWN: Rule = Rule {
    says: "proto knows no runtime; cluster and actors know no socket, disk, database or command line",
    check: |tree| {
        let stranger = |(file, room, name): &(&File, usize, String)| {
            let (_, strangers) = STRANGERS.iter().find(|(of, _)| *of == ROOMS[*room])?;
            strangers
                .contains(&name.as_str())
                .then(|| at(file, name, format!("{} knows {name}", ROOMS[*room])))
        };
        uses(tree).iter().filter_map(stranger).collect()
    },
};

const ONE_TABLE: Rule = Rule {
    says: "Versions are in the one table: a crate names what it uses with workspace = true",
    check: |tree| {
        let mut found = Vec::new();
        for (file, _) in manifests(tree) {
            for (name, value) in dependencies(&parse(file)) {
                if value.get("workspace") != Some(&Value::Boolean(true)) {
                    found.push(at(file, &name, format!("{name} has a version of its own")));
                }
            }
        }
        found
    },
};

const WHY: Rule = Rule {
    says: "Each line of the version table says why: in a comment on it, or in one right above it and its kin",
    check: |tree| {
        let mut found = Vec::new();
        let mut explained = false;
        for (file, line, text) in table(tree) {
            let own = text.contains(" # ");
            if text.starts_with('#') {
                explained = true;
            } else if text.is_empty() || own {
                explained = false;
            }
            if !text.is_empty() && !text.starts_with('#') && !own && !explained {
                found.push(file.found(line, text.split(' ').next().unwrap_or_default()));
            }
        }
        found
    },
};

const USED: Rule = Rule {
    says: "The version table holds what some crate uses",
    check: |tree| {
        let uses = uses(tree);
        let named = |text: &str| text.split_once(" = ").map(|(name, _)| name.to_owned());
        let lines = table(tree).filter(|(_, _, text)| !text.starts_with('#'));
        let unused = lines.filter_map(|(file, line, text)| {
            let name = named(text)?;
            let used = uses.iter().any(|(_, _, used)| *used == name) || ROOMS.contains(&name.as_str());
            (!used).then(|| file.found(line, format!("nobody uses {name}")))
        });
        unused.collect()
    },
};

const SOURCE: Rule = Rule {
    says: "Packages come from the public registry, by name and version",
    check: |tree| {
        let Some(file) = tree.file("Cargo.lock") else { return Vec::new() };
        let sources = file.lines().filter(|(_, text)| text.starts_with("source = "));
        let other = sources.filter(|(_, text)| *text != format!("source = {REGISTRY:?}"));
        other.map(|(line, text)| file.found(line, text)).collect()
    },
};

/// The rooms' manifests.
fn manifests(tree: &Tree) -> impl Iterator<Item = (&File, usize)> {
    let of = |(number, room): (usize, &&str)| Some((tree.file(&format!("{room}/Cargo.toml"))?, number));
    ROOMS.iter().enumerate().filter_map(of).collect::<Vec<_>>().into_iter()
}

fn parse(file: &File) -> Table {
    toml::from_str(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

/// Everything in a manifest's tables of dependencies, those of tests, builds and targets too.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in manifest {
        let Value::Table(inside) = value else { continue };
        if name.ends_with("dependencies") {
            found.extend(inside.clone());
        } else {
            found.extend(dependencies(inside));
        }
    }
    found
}

/// Who uses what: manifest, number of the room, package.
fn uses(tree: &Tree) -> Vec<(&File, usize, String)> {
    let of = |(file, room)| dependencies(&parse(file)).into_iter().map(move |(name, _)| (file, room, name));
    manifests(tree).flat_map(of).collect()
}

/// The lines of the version table.
fn table(tree: &Tree) -> impl Iterator<Item = (&File, usize, &str)> {
    let file = tree.file("Cargo.toml");
    let lines = file.into_iter().flat_map(|file| file.lines().map(move |(line, text)| (file, line, text)));
    let inside = lines.skip_while(|(_, _, text)| *text != "[workspace.dependencies]").skip(1);
    inside.take_while(|(_, _, text)| !text.starts_with('['))
}

/// The line of a manifest that names a package.
fn at(file: &File, name: &str, what: String) -> Found {
    let names = |text: &str| text.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    let line = file.lines().find(|(_, text)| names(text)).map_or(1, |(line, _)| line);
    file.found(line, what)
}

#[test]
fn a_room_that_depends_on_a_later_one_or_on_a_stranger_is_found() {
    let text = "[dependencies]\nproto.workspace = true\ncells.workspace = true\n[dev-dependencies]\n\
                hyper = { workspace = true }\nactors.workspace = true\n";
    let files = [("actors/Cargo.toml", text), ("tests/Cargo.toml", text)];
    assert_eq!(super::planted(&DIRECTION, &files), ["actors/Cargo.toml:3", "actors/Cargo.toml:6"]);
    assert_eq!(super::planted(&UNKNOWN, &files), ["actors/Cargo.toml:5"]);
}

#[test]
fn a_version_outside_the_table_is_found() {
    let text = "[dependencies]\nbytes.workspace = true\n[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n";
    assert_eq!(super::planted(&ONE_TABLE, &[("cells/Cargo.toml", text)]), ["cells/Cargo.toml:4"]);
}

#[test]
fn a_line_without_a_why_and_one_that_nobody_uses_are_found() {
    let table = "[workspace.dependencies]\n# Wire.\nprost = \"1\"\nprost-build = \"1\"\ntoml = \"1\" # files\n\
                 clap = \"4\"\n\n[profile.dev]\nopt-level = 1\n";
    let uses = "[dependencies]\nprost.workspace = true\ntoml.workspace = true\n[build-dependencies]\n\
                prost-build.workspace = true\n";
    let files = [("Cargo.toml", table), ("cells/Cargo.toml", uses)];
    assert_eq!(super::planted(&WHY, &files), ["Cargo.toml:6"]);
    assert_eq!(super::planted(&USED, &files), ["Cargo.toml:6"]);
}

#[test]
fn a_package_from_elsewhere_is_found() {
    let text = format!("source = {REGISTRY:?}\nsource = \"git+https://example.com/x\"\n");
    assert_eq!(super::planted(&SOURCE, &[("Cargo.lock", &text)]), ["Cargo.lock:2"]);
}
