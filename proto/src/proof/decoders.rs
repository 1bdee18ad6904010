//! Every decoder: what was encoded comes back, what was not is an error or a message, never a panic, and a
//! record that lost a bit is never another record.

use super::schema::{Schema, Tape};
use super::{Kind, kinds};
use crate::frame::{self, WireForm};
use crate::record::{self, Record};
use crate::v1;
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(Schema::load);

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }
}

fn kind() -> impl Strategy<Value = Kind> {
    any::<Index>().prop_map(|at| kinds().swap_remove(at.index(kinds().len())))
}

/// The kinds that are kept in sealed records.
fn records() -> Vec<Kind> {
    kinds().into_iter().filter(|kind| kind.border == "record").collect()
}

fn record() -> impl Strategy<Value = Kind> {
    any::<Index>().prop_map(|at| records().swap_remove(at.index(records().len())))
}

fn tape() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message)
    }
}

/// If the bytes are a message, it must be stable: encoding what was decoded changes nothing any more.
fn stable_or_refused(kind: &Kind, bytes: &[u8]) -> Result<bool, TestCaseError> {
    let Ok(canonical) = (kind.again)(bytes) else {
        return Ok(false);
    };
    prop_assert_eq!((kind.again)(&canonical), Ok(canonical.clone()));
    if let Ok(json) = (kind.to_json)(&canonical) {
        prop_assert_eq!((kind.from_json)(&json), Ok(canonical));
    }
    Ok(true)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_message_survives_protobuf_and_json(kind in kind(), tape in tape()) {
        let bytes = kind.invent(&SCHEMA, &mut Tape(&tape));
        let canonical = (kind.again)(&bytes).expect("what was invented parses");
        prop_assert_eq!((kind.again)(&canonical), Ok(canonical.clone()));
        let json = (kind.to_json)(&canonical).expect("what was invented has a JSON form");
        prop_assert_eq!((kind.from_json)(&json), Ok(canonical), "{}", json);
    }

    #[test]
    fn arbitrary_bytes_are_a_message_or_an_error(kind in kind(), bytes in tape()) {
        stable_or_refused(&kind, &bytes)?;
        if kind.border == "record" && let Ok(sealed) = (kind.wrap)(&bytes) {
            prop_assert!(stable_or_refused(&kind, &sealed)?, "what was sealed opens");
        }
    }

    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        kind in kind(), tape in tape(), cut in any::<Index>(), at in any::<Index>(), byte: u8,
    ) {
        let mut bytes = kind.invent(&SCHEMA, &mut Tape(&tape));
        bytes.truncate(cut.index(bytes.len() + 1));
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        stable_or_refused(&kind, &bytes)?;
    }

    #[test]
    fn damaged_json_is_a_message_or_an_error(
        kind in kind(), tape in tape(), at in any::<Index>(), length in 0usize..8,
        new in "[\\[\\]{}\",:0-9a-z.\\\\é-]{0,6}",
    ) {
        let json = (kind.to_json)(&kind.invent(&SCHEMA, &mut Tape(&tape))).expect("a JSON form");
        let mut chars: Vec<char> = json.chars().collect();
        let from = at.index(chars.len() + 1);
        let to = chars.len().min(from + length);
        chars.splice(from..to, new.chars());
        if let Ok(bytes) = (kind.from_json)(&chars.into_iter().collect::<String>()) {
            prop_assert!(stable_or_refused(&kind, &bytes)?);
        }
    }

    #[test]
    fn arbitrary_text_is_a_message_or_an_error(
        kind in kind(), text in any::<String>(), like_json in "[\\[{\"][\\[\\]{}\",:0-9a-z]{0,20}",
    ) {
        for text in [text, like_json] {
            if let Ok(bytes) = (kind.from_json)(&text) {
                prop_assert!(stable_or_refused(&kind, &bytes)?, "{}", text);
            }
        }
    }

    #[test]
    fn what_the_server_frames_is_what_the_client_reads(tape in tape(), json: bool) {
        let bytes = SCHEMA.invent("ServerFrame", &mut Tape(&tape));
        let message = frame::decode_server(&bytes, WireForm::Proto).expect("what was invented parses");
        let form = if json { WireForm::Json } else { WireForm::Proto };
        let encoded = frame::encode_server(&message, form);
        let header = match encoded[1] { 126 => 4, 127 => 10, _ => 2 };
        prop_assert_eq!(frame::decode_server(&encoded[header..], form), Ok(message));
    }

    #[test]
    fn what_a_client_encodes_is_what_the_server_reads(tape in tape(), json: bool) {
        let bytes = SCHEMA.invent("ClientFrame", &mut Tape(&tape));
        let message = frame::decode_client(&bytes, WireForm::Proto).expect("what was invented parses");
        let form = if json { WireForm::Json } else { WireForm::Proto };
        prop_assert_eq!(frame::decode_client(&frame::encode_client(&message, form), form), Ok(message));
    }

    #[test]
    fn a_record_that_lost_a_bit_or_its_end_is_an_error(
        kind in record(), tape in tape(), bit in any::<Index>(),
    ) {
        let bytes = kind.invent(&SCHEMA, &mut Tape(&tape));
        let bit = bit.index(bytes.len() * 8);
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        prop_assert!((kind.again)(&flipped).is_err(), "bit {}", bit);
        prop_assert!((kind.again)(&bytes[..bit / 8]).is_err(), "cut at {}", bit / 8);
        prop_assert!((kind.again)(&[&bytes[..], &[0]].concat()).is_err());
    }
}

#[test]
fn no_record_opens_as_another_kind() {
    let records = records();
    for written in &records {
        let bytes = written.invent(&SCHEMA, &mut Tape(&[1; 64]));
        let readers: Vec<&str> =
            records.iter().filter(|k| (k.again)(&bytes).is_ok()).map(|k| k.message).collect();
        assert_eq!(readers, [written.message]);
    }
}

#[test]
fn every_bit_of_a_log_row_is_guarded() {
    let content = v1::Content { text: "Grüße 👋".to_owned(), ..Default::default() };
    let body = v1::event::Body::Posted(v1::Posted { content: Some(content), ..Default::default() });
    let event = v1::Event { seq: 7, us: 1_800_000_000_000_000, body: Some(body), ..Default::default() };
    let bytes = record::seal(&v1::LogRow { event: Some(event), ..Default::default() });
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(record::open::<v1::LogRow>(&flipped).is_err(), "bit {bit}");
    }
    assert_eq!(v1::LogRow::KIND, bytes[1]);
}
