//! Frames on the wire, byte for byte, and the limits of the decoders.

use super::*;
use crate::close::CloseCode;

/// The payload behind an unmasked header, read as RFC 6455 says.
fn unframe(frame: &[u8]) -> (u8, &[u8]) {
    let (length, start) = match frame[1] {
        126 => (u64::from(u16::from_be_bytes([frame[2], frame[3]])), 4),
        127 => (u64::from_be_bytes(frame[2..10].try_into().expect("eight bytes")), 10),
        short => (u64::from(short), 2),
    };
    assert_eq!(frame.len() as u64, start as u64 + length, "the length is that of the payload");
    (frame[0], &frame[start..])
}

fn beacon(channel: &str) -> v1::ServerFrame {
    let tails = vec![v1::Cursor { channel: channel.to_owned(), seq: 7 }];
    v1::ServerFrame { re: 0, frame: Some(v1::server_frame::Frame::Beacon(v1::Beacon { tails })) }
}

fn nested_json(field: &str, depth: usize) -> String {
    format!("{{\"{field}\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn the_unmasked_hello_of_rfc_6455_5_7_is_encoded_byte_for_byte() {
    assert_eq!(&text(b"Hello")[..], [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(&ping(b"Hello")[..], [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(&binary(&[0; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
    assert_eq!(&binary(&[0; 65536])[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn every_length_class_uses_its_shortest_header() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
        let frame = binary(&vec![7; length]);
        assert_eq!(frame.len(), header + length, "payload of {length}");
        assert_eq!(unframe(&frame), (0x82, &vec![7; length][..]));
    }
}

#[test]
fn control_frames_never_carry_more_than_125_bytes() {
    assert_eq!(unframe(&ping(&[1; 300])).1.len(), CONTROL_BYTES_MAX);
    assert_eq!(unframe(&pong(&[1; 300])).1.len(), CONTROL_BYTES_MAX);
    let address = Some("x".repeat(500));
    let frame = close(&Close { code: CloseCode::GoingAway, delay_ms: Some(u32::MAX), address });
    assert_eq!(unframe(&frame), (0x88, &b"\x0f\xa0going_away 4294967295"[..]));
}

#[test]
fn one_message_in_two_forms_is_a_binary_and_a_text_frame() {
    let message = beacon("C0000000001");
    let proto = encode_server(&message, WireForm::Proto);
    let json = encode_server(&message, WireForm::Json);
    let (opcode, payload) = unframe(&proto);
    assert_eq!((opcode, decode_server(payload, WireForm::Proto)), (0x82, Ok(message.clone())));
    let (opcode, payload) = unframe(&json);
    assert_eq!(payload, br#"{"beacon":{"tails":[{"channel":"C0000000001","seq":"7"}]}}"#);
    assert_eq!((opcode, decode_server(payload, WireForm::Json)), (0x81, Ok(message)));
}

#[test]
fn an_rtm_socket_gets_and_gives_no_session_frames() {
    assert!(encode_server(&beacon("C0000000001"), WireForm::Rtm).is_empty());
    assert_eq!(decode_client(b"{}", WireForm::Rtm), Err(FrameError::Rtm));
    assert_eq!(&WireForm::Rtm.frame(b"{}")[..], b"\x81\x02{}");
}

#[test]
fn an_enum_number_of_a_newer_build_is_sent_as_unknown_in_json() {
    let body = v1::event::Body::Created(v1::Created { kind: 99, ..Default::default() });
    let events = vec![v1::Event { seq: 1, body: Some(body), ..Default::default() }];
    let deliver = v1::Deliver { channel: "C0000000001".to_owned(), events };
    let message = v1::ServerFrame { re: 0, frame: Some(v1::server_frame::Frame::Deliver(deliver)) };
    let frame = encode_server(&message, WireForm::Json);
    let (_, payload) = unframe(&frame);
    let text = std::str::from_utf8(payload).expect("JSON is UTF-8");
    assert!(text.contains(r#""created":{}"#), "{text}");
    let proto = encode_server(&message, WireForm::Proto);
    assert_eq!(decode_server(unframe(&proto).1, WireForm::Proto), Ok(message), "protobuf keeps the number");
}

#[test]
fn a_message_at_the_limit_is_read_and_one_byte_more_is_not() {
    let skeleton = br#"{"ping":{"note":""}}"#.len();
    let at_limit = format!(r#"{{"ping":{{"note":"{}"}}}}"#, "x".repeat(FRAME_BYTES_MAX - skeleton));
    assert!(decode_client(at_limit.as_bytes(), WireForm::Json).is_ok());
    let over = format!("{at_limit} ");
    let refused = FrameError::TooLarge { bytes: FRAME_BYTES_MAX + 1, max: FRAME_BYTES_MAX };
    assert_eq!(decode_client(over.as_bytes(), WireForm::Json), Err(refused.clone()));
    assert_eq!(decode_client(over.as_bytes(), WireForm::Proto), Err(refused));
}

#[test]
fn nesting_beyond_the_parsers_limits_is_an_error_not_a_stack_overflow() {
    let deepest = FRAME_BYTES_MAX / 2 - 20;
    let skipped = decode_client(nested_json("future", deepest).as_bytes(), WireForm::Json);
    assert!(skipped.is_ok(), "unknown fields are skipped without recursion: {skipped:?}");
    for field in ["id", "post"] {
        let refused = decode_client(nested_json(field, deepest).as_bytes(), WireForm::Json);
        assert!(matches!(&refused, Err(FrameError::Json(_))), "{field}: {refused:?}");
    }
    // 0x9b 0x06: start of the unknown group 99, again and again.
    let refused = decode_client(&[0x9b, 0x06].repeat(FRAME_BYTES_MAX / 2), WireForm::Proto);
    assert!(
        matches!(&refused, Err(FrameError::Proto(why)) if why.contains("recursion limit")),
        "{refused:?}"
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_in_both_forms() {
    let refused = decode_client(b"{\"ping\":{\"note\":\"\xff\"}}", WireForm::Json);
    assert!(matches!(refused, Err(FrameError::Json(_))), "{refused:?}");
    // ping (15) { note (1): one byte 0xff }
    let refused = decode_client(&[0x7a, 3, 0x0a, 1, 0xff], WireForm::Proto);
    assert!(matches!(refused, Err(FrameError::Proto(_))), "{refused:?}");
}

#[test]
fn json_takes_numbers_as_strings_or_numbers_and_both_spellings_of_a_name() {
    let expected = decode_client(br#"{"id":"9007199254740993","edit":{"targetUs":"5"}}"#, WireForm::Json);
    assert!(expected.is_ok(), "{expected:?}");
    for text in [
        r#"{"id":9007199254740993,"edit":{"target_us":5}}"#,
        r#"{"edit":{"targetUs":5,"future":{"a":[1]}},"id":9007199254740993}"#,
    ] {
        assert_eq!(decode_client(text.as_bytes(), WireForm::Json), expected, "{text}");
    }
    let empty = decode_client(b"{}", WireForm::Json);
    assert_eq!(decode_client(br#"{"ping":null}"#, WireForm::Json), empty, "null is absent");
    for text in [
        r#"{"id":-1}"#,
        r#"{"id":1.5}"#,
        r#"{"id":"18446744073709551616"}"#,
        r#"{"id":1,"id":2}"#,
        r#"{"ping":{},"leave":{}}"#,
        r#"{"ping":{"note":null}}"#,
        r#"{"ping":[]}"#,
        r#"{} {}"#,
        "",
        "null",
    ] {
        assert!(decode_client(text.as_bytes(), WireForm::Json).is_err(), "{text}");
    }
}

#[test]
fn the_clients_first_known_subprotocol_is_chosen() {
    let json = Some(("waggle.v1.json", WireForm::Json));
    assert_eq!(WireForm::negotiate("graphql-ws, waggle.v1.json,waggle.v1.proto"), json);
    assert_eq!(WireForm::negotiate(" waggle.v1.proto ").map(|(_, form)| form), Some(WireForm::Proto));
    assert_eq!(WireForm::negotiate("waggle.v2.proto"), None);
    assert_eq!(WireForm::negotiate(""), None);
}
