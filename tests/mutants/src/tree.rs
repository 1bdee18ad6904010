//! A copy of the workspace with every mutant in it, and what is built of that.

use crate::mutate::Mutant;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};

/// Rounds of leaving out what does not compile.
const ROUNDS_MAX: u32 = 12;
/// What chooses a mutant at run time.
pub const CHOOSES: &str = "WAGGLE_MUTANT";

/// Everything that kills mutants.
const BUILD: [&str; 4] = ["build", "--workspace", "--tests", "--bins"];
/// What engines promise of the fence; of the other parts they run nothing.
pub const STORE_CONTRACT: &str = "store_contract::";
/// Of the suite of whole nodes: without processes of their own, and those in which a client talks to a server.
const SUITE: [&str; 4] = ["core::", STORE_CONTRACT, "native::", "slack::"];

/// What a mutant asks whether it is the one.
const CHOOSER: &str = r#"
/// Which mutant is chosen.
pub mod mutation {
    use std::sync::LazyLock;
    static CHOSEN: LazyLock<u32> =
        LazyLock::new(|| std::env::var("CHOOSES").ok().and_then(|text| text.parse().ok()).unwrap_or(0));
    /// Whether it is this one.
    #[inline]
    pub fn is(number: u32) -> bool {
        *CHOSEN == number
    }
}
"#;

/// The copy.
pub struct Tree {
    root: PathBuf,
    originals: PathBuf,
}

/// What kills mutants, with its arguments.
pub type Binary = (PathBuf, Vec<String>);
pub type Binaries = Vec<Binary>;

impl Tree {
    /// Copies what git knows of into `target/mutants/tree`.
    pub fn copy(originals: &Path) -> anyhow::Result<Self> {
        let root = originals.join("target/mutants/tree");
        let listed = Command::new("git").args(["ls-files"]).current_dir(originals).output()?;
        ensure!(listed.status.success(), "git ls-files failed");
        for file in String::from_utf8(listed.stdout)?.lines() {
            let (from, to) = (originals.join(file), root.join(file));
            if !from.is_file()
                || fs::read(&to).is_ok_and(|there| fs::read(&from).is_ok_and(|new| new == there))
            {
                continue;
            }
            fs::create_dir_all(to.parent().context("files lie in folders")?)?;
            fs::copy(&from, &to)?;
        }
        let lib = root.join("cluster/src/lib.rs");
        let text = fs::read_to_string(originals.join("cluster/src/lib.rs"))?;
        let chooser = CHOOSER.replace("CHOOSES", CHOOSES);
        fs::write(lib, text + &chooser)?;
        Ok(Self { root, originals: originals.to_owned() })
    }

    /// Rust files at these places, without tests, relative to the workspace.
    pub fn files(&self, places: &[&str]) -> anyhow::Result<Vec<String>> {
        let mut files = BTreeSet::new();
        for place in places {
            let path = self.originals.join(place);
            if path.is_file() {
                files.insert((*place).to_owned());
                continue;
            }
            for entry in fs::read_dir(&path).with_context(|| format!("{place} is not there"))? {
                let name = entry?.file_name().into_string().unwrap_or_default();
                if name.ends_with(".rs") && name != "tests.rs" {
                    files.insert(format!("{place}/{name}"));
                }
            }
        }
        Ok(files.into_iter().collect())
    }

    /// A file as it is in the workspace.
    pub fn source(&self, file: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.originals.join(file)).with_context(|| format!("{file} cannot be read"))
    }

    /// Writes all mutants into their files and builds; those that do not compile are left out.
    pub fn build(&self, mutants: &mut BTreeMap<u32, Mutant>) -> anyhow::Result<Binaries> {
        // Also those of which no mutant is left.
        let files: BTreeSet<String> = mutants.values().map(|mutant| mutant.file.clone()).collect();
        for round in 0..ROUNDS_MAX {
            let written = self.write(&files, mutants)?;
            let (is_built, messages) = self.cargo(&BUILD)?;
            if is_built {
                return Ok(binaries(&messages));
            }
            let wrong = wrong(&messages, &written);
            eprintln!("round {round}: {} mutants do not compile", wrong.len());
            ensure!(
                !wrong.is_empty(),
                "the copy does not compile, and no mutant is the reason:\n{}",
                texts(&messages)
            );
            mutants.retain(|number, _| !wrong.contains(number));
        }
        anyhow::bail!("still not compiling after {ROUNDS_MAX} rounds")
    }

    fn cargo(&self, arguments: &[&str]) -> anyhow::Result<(bool, Vec<Value>)> {
        let target = self.originals.join("target/mutants/build");
        let output = Command::new("cargo")
            .args(arguments)
            .args(["--locked", "--message-format=json", "--keep-going", "--target-dir"])
            .arg(&target)
            .current_dir(&self.root)
            .stderr(std::process::Stdio::inherit())
            .output()?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let messages = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok((output.status.success(), messages))
    }

    /// Writes the mutants into these files; answers, by file, where their texts have come to lie.
    fn write(&self, files: &BTreeSet<String>, mutants: &BTreeMap<u32, Mutant>) -> anyhow::Result<Written> {
        let mut written = Written::new();
        for file in files {
            let source = self.source(file)?;
            let mut inserts: Vec<(usize, i64, &str, u32)> = mutants
                .values()
                .filter(|mutant| mutant.file == *file)
                .flat_map(|mutant| {
                    mutant.inserts.iter().map(|(at, order, text)| (*at, *order, text.as_str(), mutant.number))
                })
                .collect();
            inserts.sort();
            let (mut text, mut from, mut places) = (String::new(), 0, Vec::new());
            for (at, _, insert, number) in inserts {
                text += &source[from..at];
                from = at;
                places.push((text.len()..text.len() + insert.len(), number));
                text += insert;
            }
            text += &source[from..];
            fs::write(self.root.join(file), text)?;
            written.insert(file.clone(), places);
        }
        Ok(written)
    }
}

/// By file, where texts were inserted, and whose they are.
type Written = BTreeMap<String, Vec<(Range<usize>, u32)>>;

fn texts(messages: &[Value]) -> String {
    let rendered = messages.iter().filter_map(|message| message["message"]["rendered"].as_str());
    rendered.take(3).collect::<Vec<_>>().join("\n")
}

/// Mutants in whose text, or between whose texts, the compiler found something wrong.
fn wrong(messages: &[Value], written: &Written) -> BTreeSet<u32> {
    let mut wrong = BTreeSet::new();
    for message in messages.iter().filter(|message| message["message"]["level"] == "error") {
        for span in message["message"]["spans"].as_array().into_iter().flatten() {
            let (Some(file), Some(from), Some(to)) =
                (span["file_name"].as_str(), span["byte_start"].as_u64(), span["byte_end"].as_u64())
            else {
                continue;
            };
            let Some(places) = written.get(file) else { continue };
            let (from, to) = (from as usize, to as usize);
            let inside: Vec<u32> = places
                .iter()
                .filter(|(range, _)| range.start < to && from < range.end)
                .map(|(_, number)| *number)
                .collect();
            if inside.is_empty() {
                // The smallest pair of texts around it.
                let around = |number: u32| {
                    let mut of =
                        places.iter().filter(|(_, one)| *one == number).map(|(range, _)| range.clone());
                    let (first, last) = (of.next()?, of.next_back()?);
                    (first.end <= from && to <= last.start).then(|| (last.start - first.end, number))
                };
                let numbers: BTreeSet<u32> = places.iter().map(|(_, number)| *number).collect();
                wrong.extend(numbers.into_iter().filter_map(around).min().map(|(_, number)| number));
            }
            wrong.extend(inside);
        }
    }
    wrong
}

/// Test programs of the crates, and the simulator.
fn binaries(messages: &[Value]) -> Binaries {
    let mut found = Binaries::new();
    let mut simulator = None;
    for message in messages.iter().filter(|message| message["reason"] == "compiler-artifact") {
        let Some(program) = message["executable"].as_str() else { continue };
        if message["target"]["name"] == "waggle-sim" {
            simulator = Some(PathBuf::from(program));
        } else if message["profile"]["test"] == true {
            if message["target"]["name"] == "suite" {
                found.extend(SUITE.map(|group| (program.into(), vec![group.to_owned()])));
            } else {
                // The model does not run what is mutated.
                found.push((program.into(), ["--skip", "model::"].map(str::to_owned).to_vec()));
            }
        }
    }
    if let Some(simulator) = simulator {
        for seeds in ["1..6", "7..20"] {
            let arguments = ["run", "--messages-min", "1", "--seeds", seeds];
            found.push((simulator.clone(), arguments.map(str::to_owned).to_vec()));
        }
    }
    found
}
