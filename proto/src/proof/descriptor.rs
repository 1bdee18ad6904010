//! The schema as readable text, `golden/descriptor.txt`: a line a field, a line an enum value, a line a
//! reserved number. What is there is a promise: numbers keep their meaning for ever.
//!
//! To accept an addition, or a removal whose number the schema now reserves: delete the file, run this test,
//! which writes it anew and fails once, and commit it with the reason.

use super::schema::Schema;
use prost_types::field_descriptor_proto::Label;
use std::collections::BTreeMap;
use std::fs;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/descriptor.txt");

/// (message or enum and number) to what it names, one pair a line of the text.
type Promises = BTreeMap<(String, i32), String>;

fn current() -> Promises {
    let schema = Schema::load();
    let mut promises = Promises::new();
    for (name, message) in &schema.messages {
        for field in &message.field {
            let kind = match field.type_name() {
                "" => field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase(),
                named => named.trim_start_matches(".waggle.v1.").to_owned(),
            };
            let repeated = if field.label() == Label::Repeated { " repeated" } else { "" };
            let oneof = field.oneof_index.and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?));
            let oneof = oneof.map(|o| format!(" oneof:{}", o.name())).unwrap_or_default();
            let line = format!("{} {kind}{repeated}{oneof}", field.name());
            promises.insert((name.clone(), field.number()), line);
        }
        for number in message.reserved_range.iter().flat_map(|range| range.start()..range.end()) {
            promises.insert((name.clone(), number), "reserved".to_owned());
        }
    }
    for (name, enumeration) in &schema.enums {
        for value in &enumeration.value {
            promises.insert((name.clone(), value.number()), format!("{} value", value.name()));
        }
        for number in enumeration.reserved_range.iter().flat_map(|range| range.start()..=range.end()) {
            promises.insert((name.clone(), number), "reserved".to_owned());
        }
    }
    promises
}

fn parse(text: &str) -> Promises {
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let (name, number, rest) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
        Some(((name.to_owned(), number), rest.to_owned()))
    };
    text.lines()
        .map(|text| line(text).unwrap_or_else(|| panic!("not a line of a descriptor: {text:?}")))
        .collect()
}

fn render(promises: &Promises) -> String {
    promises.iter().map(|((name, number), what)| format!("{name} {number} {what}\n")).collect()
}

/// What the schema no longer keeps, in sentences; and what it newly promises.
fn compare(old: &Promises, new: &Promises) -> (Vec<String>, Vec<String>) {
    let mut broken = Vec::new();
    for (key @ (name, number), was) in old {
        match new.get(key) {
            Some(is) if is == was => {}
            Some(is) if is == "reserved" => {}
            Some(is) => broken.push(format!(
                "{name} number {number} was `{was}` and is now `{is}`: numbers are never reused, fields \
                 never change type or name; add a new number instead"
            )),
            None => broken.push(format!(
                "{name} number {number} (`{was}`) was removed: keep it, or write `reserved {number};` there"
            )),
        }
    }
    let added = |(key, what): (&(String, i32), &String)| {
        (old.get(key) != Some(what)).then(|| format!("{} {} {what}", key.0, key.1))
    };
    (broken, new.iter().filter_map(added).collect())
}

#[test]
fn the_schema_keeps_every_number_it_ever_promised() {
    let new = current();
    let Ok(text) = fs::read_to_string(FILE) else {
        fs::write(FILE, render(&new)).expect("golden/ is writable");
        panic!("{FILE} was missing and has been written; commit it with the reason");
    };
    let (broken, added) = compare(&parse(&text), &new);
    assert!(broken.is_empty(), "the schema breaks its promises:\n{}", broken.join("\n"));
    assert!(
        added.is_empty(),
        "the schema promises more than {FILE}:\n{}\nDelete that file, run this test again, which writes it, \
         and commit it with the reason.",
        added.join("\n")
    );
}

#[test]
fn a_renumbered_retyped_or_removed_field_is_named() {
    let old = parse("Post 1 channel string\nPost 2 key string\nPost 3 text string\nPost 4 gone bool\n");
    let new = parse("Post 1 channel string\nPost 2 key bytes\nPost 4 reserved\nPost 5 text string\n");
    let (broken, added) = compare(&old, &new);
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].starts_with("Post number 2 was `key string` and is now `key bytes`"), "{}", broken[0]);
    assert!(broken[1].starts_with("Post number 3 (`text string`) was removed"), "{}", broken[1]);
    assert_eq!(added, ["Post 2 key bytes", "Post 4 reserved", "Post 5 text string"]);
}

#[test]
fn a_reserved_number_is_never_taken_again() {
    let (broken, _) = compare(&parse("Post 4 reserved\n"), &parse("Post 4 text string\n"));
    assert!(broken[0].starts_with("Post number 4 was `reserved`"), "{}", broken[0]);
    let (broken, _) = compare(&parse("Post 4 reserved\n"), &parse(""));
    assert!(broken[0].starts_with("Post number 4 (`reserved`) was removed"), "{}", broken[0]);
}

#[test]
fn every_enum_starts_with_unknown() {
    for (name, enumeration) in Schema::load().enums {
        let zero = enumeration.value.iter().find(|value| value.number() == 0).expect("proto3 enums have a 0");
        assert!(zero.name().ends_with("_UNKNOWN"), "{name} 0 is {}", zero.name());
    }
}
