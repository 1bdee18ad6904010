use super::*;
use proptest::prelude::*;
use serde_json::json;

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const JSON: Option<&str> = Some("application/json");

fn args(value: Value) -> Args {
    value.as_object().expect("a test gives an object").clone().into_iter().collect()
}

#[test]
fn the_three_bodies_say_the_same() {
    let form = parse(FORM, None, b"channel=C1&text=a%26b+c", &[]).unwrap();
    let json =
        parse(Some("application/json;charset=utf-8"), None, br#"{"channel":"C1","text":"a&b c"}"#, &[]);
    let fields = [("channel".to_owned(), "C1".to_owned()), ("text".to_owned(), "a&b c".to_owned())];
    let multipart = parse(Some("multipart/form-data; boundary=x"), None, b"--x--", &fields);
    assert_eq!(form, args(json!({ "channel": "C1", "text": "a&b c" })));
    assert_eq!(Ok(&form), json.as_ref());
    assert_eq!(Ok(&form), multipart.as_ref());
}

#[test]
fn query_and_body_are_merged_and_the_body_wins() {
    let merged = parse(FORM, Some("channel=C1&limit=5"), b"limit=6", &[]).unwrap();
    assert_eq!(merged, args(json!({ "channel": "C1", "limit": "6" })));
}

#[test]
fn an_empty_body_is_a_call_without_arguments_whatever_its_type() {
    for kind in [None, JSON, FORM, Some("text/plain"), Some("multipart/form-data; boundary=x")] {
        assert_eq!(parse(kind, None, b"", &[]), Ok(Args::new()), "{kind:?}");
    }
    assert_eq!(parse(JSON, None, b" \r\n", &[]), Ok(Args::new()));
}

#[test]
fn bodies_that_cannot_be_read_are_refused_by_name() {
    let cases: &[(Option<&str>, &[u8], &str)] = &[
        (JSON, b"{", "invalid_json"),
        (JSON, b"\xff", "invalid_json"),
        (JSON, b"[1]", "json_not_object"),
        (JSON, b"null", "json_not_object"),
        (FORM, b"text=%ff", "invalid_form_data"),
        (None, b"text=1", "missing_post_type"),
        (Some("text/plain"), b"text=1", "invalid_post_type"),
        (Some("application/json; charset=latin1"), b"{}", "invalid_charset"),
    ];
    for (kind, body, error) in cases {
        assert_eq!(parse(*kind, None, body, &[]), Err(*error), "{kind:?} {body:?}");
    }
    let deep = [b"{\"a\":".to_vec(), b"[".repeat(100_000)].concat();
    assert_eq!(parse(JSON, None, &deep, &[]), Err("invalid_json"));
}

#[test]
fn booleans_come_in_every_spelling() {
    for yes in [json!(true), json!("true"), json!("True"), json!("1"), json!(1)] {
        assert_eq!(flag(&args(json!({ "f": yes })), "f", false), Ok(true), "{yes}");
    }
    for no in [json!(false), json!("false"), json!("False"), json!("0"), json!(0)] {
        assert_eq!(flag(&args(json!({ "f": no })), "f", true), Ok(false), "{no}");
    }
    for absent in [json!(""), json!(null)] {
        assert_eq!(flag(&args(json!({ "f": absent })), "f", true), Ok(true), "{absent}");
    }
    assert_eq!(flag(&args(json!({ "f": "maybe" })), "f", true).unwrap_err().code, "invalid_arguments");
}

#[test]
fn lists_are_comma_joined_or_arrays_or_arrays_in_strings() {
    for same in [json!("U1,U2"), json!("U1, U2,"), json!(["U1", "U2"]), json!(r#"["U1","U2"]"#)] {
        assert_eq!(list(&args(json!({ "users": same })), "users").unwrap(), ["U1", "U2"], "{same}");
    }
    assert!(list(&args(json!({ "users": "" })), "users").unwrap().is_empty());
    for wrong in [json!([1]), json!("[1"), json!([["U1"]])] {
        let refused = list(&args(json!({ "users": wrong })), "users").unwrap_err();
        assert_eq!(refused.code, "invalid_array_arg", "{wrong}");
    }
}

#[test]
fn times_are_read_as_clients_send_them() {
    let us = 1_503_435_956_000_247;
    for same in [json!("1503435956.000247"), json!("1503435956.0002479"), json!(1503435956.000247)] {
        assert_eq!(time(&args(json!({ "ts": same })), "ts", "bad").unwrap(), Some(us), "{same}");
    }
    let second = 1_503_435_956_000_000;
    for same in [json!("1503435956"), json!("1503435956.0"), json!(1503435956), json!(1503435956.0)] {
        assert_eq!(time(&args(json!({ "ts": same })), "ts", "bad").unwrap(), Some(second), "{same}");
    }
    assert_eq!(time(&args(json!({ "ts": "0" })), "ts", "bad").unwrap(), Some(0));
    assert_eq!(time(&args(json!({ "ts": "now" })), "ts", "bad").unwrap(), Some(Micros::MAX));
    assert_eq!(time(&args(json!({ "ts": "" })), "ts", "bad").unwrap(), None);
    for wrong in [json!("yesterday"), json!("-1"), json!("1.2.3"), json!(true)] {
        let refused = time(&args(json!({ "ts": wrong })), "ts", "bad_timestamp").unwrap_err();
        assert_eq!(refused.code, "bad_timestamp", "{wrong}");
    }
}

#[test]
fn limits_are_clamped_and_must_be_numbers() {
    let of = |value: Value| limit(&args(json!({ "limit": value })), 100, 999);
    assert_eq!(of(json!("")), Ok(100));
    assert_eq!(of(json!("0")), Ok(100));
    assert_eq!(of(json!(5)), Ok(5));
    assert_eq!(of(json!("100000")), Ok(999));
    for wrong in [json!("-1"), json!("many"), json!(1.5)] {
        assert_eq!(of(wrong).unwrap_err().code, "invalid_limit");
    }
}

#[test]
fn structured_arguments_are_values_or_their_text() {
    for same in [json!([{ "type": "divider" }]), json!(r#"[{"type":"divider"}]"#)] {
        let found = super::json(&args(json!({ "blocks": same })), "blocks").unwrap();
        assert_eq!(found, Some(json!([{ "type": "divider" }])));
    }
    assert_eq!(super::json(&args(json!({ "blocks": " " })), "blocks").unwrap(), None);
    assert!(super::json(&args(json!({ "blocks": "[" })), "blocks").is_err());
}

proptest! {
    #[test]
    fn whatever_comes_in_is_arguments_or_a_named_refusal(
        kind in prop_oneof![
            Just(None),
            Just(JSON),
            Just(FORM),
            Just(Some("multipart/form-data; boundary=x")),
            Just(Some("application/json;charset=")),
        ],
        query in proptest::option::of(".{0,80}"),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(args) = parse(kind, query.as_deref(), &body, &[]) {
            for name in args.keys() {
                let _ = (text(&args, name), flag(&args, name, true), list(&args, name));
                let _ = (limit(&args, 1, 2), time(&args, name, "bad"), super::json(&args, name).is_ok());
            }
        }
    }
}
