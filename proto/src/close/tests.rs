//! The close codes, and that PROTOCOL.md lists each exactly.

use super::*;

const PROTOCOL: &str = include_str!("../../PROTOCOL.md");

#[test]
fn protocol_md_lists_each_close_code_exactly() {
    let rows: Vec<&str> = PROTOCOL.lines().filter(|line| line.starts_with("| 40")).collect();
    let expected: Vec<String> = CloseCode::ALL
        .iter()
        .map(|code| {
            let after = match code.reconnect_after_ms() {
                Some(ms) => format!("yes, after {ms} ms"),
                None => "no".to_owned(),
            };
            format!("| {} | `{}` | {} | {after} |", code.number(), code.name(), code.meaning())
        })
        .collect();
    assert_eq!(rows, expected, "the table should be:\n{}", expected.join("\n"));
}

#[test]
fn numbers_are_dense_from_4000_and_lead_back_to_their_code() {
    for (at, code) in CloseCode::ALL.iter().enumerate() {
        assert_eq!(usize::from(code.number()), 4000 + at);
        assert_eq!(CloseCode::from_number(code.number()), Some(*code));
    }
    assert_eq!(CloseCode::from_number(1000), None);
    assert_eq!(CloseCode::from_number(4099), None);
}

#[test]
fn every_reason_fits_a_control_frame_and_reads_back() {
    for code in CloseCode::ALL {
        for address in [None, Some("ws://127.0.0.1:8065/connect".to_owned())] {
            let address = address.filter(|_| code.reconnect_after_ms().is_some());
            let close = Close { address, ..Close::from(*code) };
            assert!(close.reason().len() <= REASON_BYTES_MAX);
            assert_eq!(Close::parse(code.number(), &close.reason()), Some(close));
        }
    }
}

#[test]
fn an_address_that_does_not_fit_or_would_be_ambiguous_is_left_out() {
    for address in ["x".repeat(REASON_BYTES_MAX), "two words".to_owned(), String::new()] {
        let close = Close { code: CloseCode::GoingAway, delay_ms: Some(9000), address: Some(address) };
        assert_eq!(close.reason(), "going_away 9000");
    }
}

#[test]
fn a_strange_reason_is_read_as_no_delay() {
    let close = Close::parse(4000, "going_away soon").expect("4000 is a known number");
    assert_eq!(close, Close { code: CloseCode::GoingAway, delay_ms: None, address: None });
    assert_eq!(Close::parse(4000, "").map(|c| c.delay_ms), Some(None));
    assert_eq!(Close::parse(4000, "").and_then(|c| c.reconnect_after_ms()), Some(0), "then the code decides");
    assert_eq!(Close::parse(4005, "revoked").and_then(|c| c.reconnect_after_ms()), None);
}
