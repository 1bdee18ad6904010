//! Golden samples: `golden/BORDER/KIND.txt` holds one message as JSON and, after a line `---`, its bytes in
//! hex as an older build wrote them. Both must mean the same today, in both directions.
//!
//! To add a sample: run this test, which writes the missing file and fails once; look at it and commit it. To
//! replace one (only when old bytes may change their meaning: the commit says why): delete it and run again.

use super::schema::{Pick, Schema};
use super::{Kind, kinds};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{fs, path::Path, path::PathBuf};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
const SEPARATOR: &str = "\n---\n";

/// Every field set, to a value that shows which field it is; the top message's oneof as asked, inner ones
/// first.
struct Sample {
    chosen: usize,
    depth: usize,
    counter: u64,
}

impl Pick for Sample {
    fn count(&mut self, _: &str, repeated: bool) -> usize {
        1 + usize::from(repeated)
    }
    fn variant(&mut self, _: &str, _: &[&str]) -> Option<usize> {
        self.depth += 1;
        Some(if self.depth == 1 { self.chosen } else { 0 })
    }
    fn number(&mut self, field: &str) -> u64 {
        self.counter += 1;
        match field {
            _ if field.ends_with("us") => 1_795_305_169_000_000 + self.counter,
            "seq" | "epoch" | "tail" => self.counter,
            "fingerprint" | "body_hash" | "boot" => u64::MAX - self.counter,
            _ => 2 * self.counter + 1,
        }
    }
    fn text(&mut self, field: &str) -> String {
        self.counter += 1;
        match field {
            "channel" => "C0EAQDV4Z01".to_owned(),
            "user" | "sender" | "members" | "users" => "U061F7AUR01".to_owned(),
            "text" => "Grüße 👋 \"to\" <you>\n".to_owned(),
            _ => format!("{field} {}", self.counter),
        }
    }
}

/// The samples that must exist: (file, kind, which variant of its oneof).
fn expected(schema: &Schema, kinds: &[Kind]) -> Vec<(PathBuf, usize, usize)> {
    let mut samples = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let mut variants = schema.variants(kind.message);
        if variants.is_empty() {
            variants.push(kind.message);
        }
        for (chosen, name) in variants.iter().enumerate() {
            samples.push((Path::new(FOLDER).join(kind.border).join(format!("{name}.txt")), at, chosen));
        }
    }
    samples
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(32).map(|line| {
        line.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn pretty(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).expect("the encoder writes JSON");
    serde_json::to_string_pretty(&value).expect("a value has a JSON form")
}

fn sample(kind: &Kind, bytes: &[u8]) -> String {
    let json = (kind.to_json)(bytes).expect("a sample has a JSON form");
    format!("{}{SEPARATOR}{}\n", pretty(&json), hex(bytes))
}

/// What is wrong with a stored sample, if anything.
fn differs(kind: &Kind, stored: &str) -> Option<String> {
    let Some((json, bytes)) = stored.split_once(SEPARATOR) else {
        return Some("there is no line ---".to_owned());
    };
    let digits: Vec<u32> = bytes.chars().filter_map(|c| c.to_digit(16)).collect();
    let bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| (byte << 4) | *d as u8)).collect();
    match ((kind.to_json)(&bytes), (kind.from_json)(json)) {
        (Err(why), _) => Some(format!("its bytes no longer parse: {why}")),
        (_, Err(why)) => Some(format!("its JSON no longer parses: {why}")),
        (Ok(now), _) if pretty(&now) != json => Some(format!("its bytes now mean\n{}", pretty(&now))),
        (_, Ok(now)) if now != bytes => Some(format!("its JSON is now encoded as\n{}", hex(&now))),
        _ => None,
    }
}

#[test]
fn old_bytes_and_old_json_mean_what_they_meant() {
    let (schema, kinds) = (Schema::load(), kinds());
    let mut complaints = Vec::new();
    for (file, kind, chosen) in expected(&schema, &kinds) {
        let kind = &kinds[kind];
        if let Ok(stored) = fs::read_to_string(&file) {
            complaints.extend(differs(kind, &stored).map(|why| format!("{}: {why}", file.display())));
            continue;
        }
        let bytes = kind.invent(&schema, &mut Sample { chosen, depth: 0, counter: 0 });
        let new = sample(kind, &(kind.again)(&bytes).expect("a sample parses"));
        fs::create_dir_all(file.parent().expect("samples lie in a folder")).expect("golden/ is writable");
        fs::write(&file, &new).expect("golden/ is writable");
        complaints
            .push(format!("{} was missing and has been written; look at it and commit it", file.display()));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[test]
fn every_golden_sample_belongs_to_a_kind_of_message() {
    let known: BTreeSet<PathBuf> =
        expected(&Schema::load(), &kinds()).into_iter().map(|(file, _, _)| file).collect();
    for border in kinds().iter().map(|kind| kind.border).collect::<BTreeSet<_>>() {
        for entry in fs::read_dir(Path::new(FOLDER).join(border)).expect("the folder of samples") {
            let file = entry.expect("a readable folder").path();
            assert!(known.contains(&file), "{} has no message: was one removed or renamed?", file.display());
        }
    }
}
