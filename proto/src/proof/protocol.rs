//! PROTOCOL.md against the code: its transcript parses and says what it means, its figures are the constants,
//! and every frame and refusal of the code is named.

use super::schema::Schema;
use crate::frame::{self, FRAME_BYTES_MAX, SERVER_FRAME_BYTES_MAX, SUBPROTOCOLS, WireForm};
use crate::key::{KEY_AGE_MAX_US, KEY_BYTES_MAX, KeyError};
use crate::refusal::Refusal;
use crate::{ts, v1};
use serde_json::Value;

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

fn lines(prefix: &str) -> impl Iterator<Item = &str> {
    let transcript = PROTOCOL.split("```").nth(1).expect("a transcript");
    transcript.lines().filter_map(move |line| line.strip_prefix(prefix))
}

/// Same JSON whatever the order of its keys.
fn same(said: &str, meant: &impl serde::Serialize) {
    let said: Value = serde_json::from_str(said).expect("a transcript's line is JSON");
    assert_eq!(said, serde_json::to_value(meant).expect("a frame has a JSON form"));
}

#[test]
fn every_line_of_the_transcript_is_a_frame_and_nothing_but_it() {
    let mut count = 0;
    for line in lines("> ") {
        same(line, &frame::decode_client(line.as_bytes(), WireForm::Json).expect("a client's frame"));
        count += 1;
    }
    for line in lines("< ") {
        same(line, &frame::decode_server(line.as_bytes(), WireForm::Json).expect("a server's frame"));
        count += 1;
    }
    assert_eq!(count, 11, "of the transcript's frames");
}

#[test]
fn the_transcript_keeps_the_promises_it_shows() {
    let (mut last, mut acked) = (41, Vec::new());
    for line in lines("< ") {
        let said = frame::decode_server(line.as_bytes(), WireForm::Json).expect("a server's frame");
        match said.frame {
            Some(v1::server_frame::Frame::Deliver(deliver)) => {
                for event in deliver.events {
                    assert_eq!(event.seq, last + 1, "dense");
                    last = event.seq;
                }
            }
            Some(v1::server_frame::Frame::Ack(ack)) => {
                assert_eq!(ts::parse(&ack.ts), Some(ack.us));
                acked.push((ack.seq, ack.retried));
            }
            _ => {}
        }
    }
    assert_eq!((last, acked), (44, vec![(42, false), (43, true)]));
    let mut keys = Vec::new();
    for line in lines("> ") {
        let said = frame::decode_client(line.as_bytes(), WireForm::Json).expect("a client's frame");
        if let Some(v1::client_frame::Frame::Post(post)) = said.frame {
            assert!(crate::key::time_us(&post.key).is_some(), "{} is a UUIDv7", post.key);
            keys.push(post.key);
        }
    }
    assert_eq!((keys.len(), keys[1] == keys[2], keys[0] == keys[1]), (3, true, false), "the retry's key");
}

#[test]
fn every_frame_and_subprotocol_is_named() {
    let schema = Schema::load();
    for frame in schema.variants("ClientFrame").into_iter().chain(schema.variants("ServerFrame")) {
        let named = ["{", "`"].iter().any(|end| PROTOCOL.contains(&format!("`{frame}{end}")));
        assert!(named, "PROTOCOL.md does not name `{frame}`");
    }
    for (name, _) in SUBPROTOCOLS {
        assert!(PROTOCOL.contains(&format!("| `{name}` |")), "{name}");
    }
    for limit in &schema.messages["Limits"].field {
        assert!(PROTOCOL.contains(&format!("| `{}` |", limit.name())), "{}", limit.name());
    }
}

#[test]
fn every_refusal_of_the_protocols_own_is_named() {
    for refusal in [
        Refusal::Busy { retry_after_ms: 1 },
        Refusal::Unavailable(String::new()),
        Refusal::Unknown,
        Refusal::KeyReused,
        Refusal::BadKey(KeyError::Malformed),
        Refusal::BadKey(KeyError::TooOld),
        Refusal::Named("unknown_frame"),
    ] {
        assert!(PROTOCOL.contains(&format!("\n| `{}` |", refusal.code())), "{}", refusal.code());
        assert!(PROTOCOL.contains(&format!("`{}`", refusal.state())));
    }
}

#[test]
fn its_figures_are_the_codes() {
    for (figure, what) in [
        (FRAME_BYTES_MAX.to_string(), "frame_bytes_max"),
        (SERVER_FRAME_BYTES_MAX.to_string(), "largest server message"),
        (format!("at most {KEY_BYTES_MAX} printable"), "length of a key"),
        (format!("more than {} days past", KEY_AGE_MAX_US / 86_400_000_000), "age of a key"),
    ] {
        assert!(PROTOCOL.contains(&figure), "{what}: {figure}");
    }
}
