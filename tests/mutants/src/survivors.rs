//! Survivors that are known, each with the reason why nothing kills it: `survivors.txt`.

use crate::mutate::Mutant;
use anyhow::{Context, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The list, in the folder of this tool. A line is `PART FILE FUNCTION: MUTATION: REASON`, where the function is
/// followed by `#2` for the second mutant in it that does the same; `#` begins a comment.
pub const LIST: &str = "survivors.txt";

/// Reasons, by the name of the mutant.
#[derive(Debug)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Reads the list of this workspace.
    pub fn read(root: &Path, parts: &[&str]) -> anyhow::Result<Self> {
        let path = root.join("tests/mutants").join(LIST);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, parts).with_context(|| path.display().to_string())
    }

    fn parse(text: &str, parts: &[&str]) -> anyhow::Result<Self> {
        let mut known = BTreeMap::new();
        let lines = (1..).zip(text.lines().map(str::trim));
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let (name, reason) = entry(line, parts).with_context(|| format!("line {number}: {line:?}"))?;
            ensure!(known.insert(name, reason).is_none(), "line {number}: {line:?} is there a second time");
        }
        Ok(Self(known))
    }

    /// Prints the survivors of a part with their reasons, and what is listed of it and survives no more; answers how
    /// many have no reason.
    pub fn tell(&self, part: &str, tried: &BTreeMap<u32, Mutant>, survivors: &BTreeSet<u32>) -> usize {
        let mut unlisted = 0;
        for mutant in survivors.iter().map(|number| &tried[number]) {
            let reason = self.0.get(&mutant.name());
            unlisted += usize::from(reason.is_none());
            println!("survived: {mutant}: {}", reason.map_or("unlisted", String::as_str));
        }
        let lives = |(number, mutant): (&u32, &Mutant)| (mutant.name(), survivors.contains(number));
        let lives: BTreeMap<String, bool> = tried.iter().map(lives).collect();
        for name in self.0.keys().filter(|name| name.split(' ').next() == Some(part)) {
            match lives.get(name) {
                Some(true) => {}
                Some(false) => println!("listed and killed: remove it: {name}"),
                None => println!("listed and not there: remove it: {name}"),
            }
        }
        unlisted
    }
}

/// The name and the reason of a line.
fn entry(line: &str, parts: &[&str]) -> anyhow::Result<(String, String)> {
    let mut fields = line.splitn(3, ": ");
    let (Some(place), Some(what), Some(reason)) = (fields.next(), fields.next(), fields.next()) else {
        bail!("it is not PART FILE FUNCTION: MUTATION: REASON");
    };
    let words: Vec<&str> = place.split(' ').collect();
    let [part, _file, _function] = words[..] else { bail!("{place:?} is not PART FILE FUNCTION") };
    ensure!(parts.contains(&part), "parts are {parts:?}");
    Ok((format!("{place}: {what}"), reason.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_reason_and_what_is_none_is_told_with_its_number() {
        let list = "# why\n\nlog a.rs f#2: || becomes &&: the same: a + b\n";
        let known = Known::parse(list, &["log"]).unwrap();
        assert_eq!(known.0["log a.rs f#2: || becomes &&"], "the same: a + b");
        let wrong =
            ["log a.rs f: > becomes <", "log a.rs f: > becomes <:", "log f: x: y", "views a.rs f: x: y"];
        for line in wrong.map(|line| format!("{list}{line}\n")) {
            let why = format!("{:#}", Known::parse(&line, &["log"]).unwrap_err());
            assert!(why.starts_with("line 4: "), "{why}");
        }
        let twice = Known::parse(&list.repeat(2), &["log"]).unwrap_err().to_string();
        assert!(twice.starts_with("line 6: "), "{twice}");
    }
}
