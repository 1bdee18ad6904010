use super::*;
use crate::command::Aside;
use crate::store::LogId;
use proptest::prelude::*;
use proto::id::{ConversationId, WorkspaceId};
use proto::v1::event::Body;
use proto::v1::{self, Event, MessageKind, MessageRow};
use std::sync::Arc;

const US: u64 = 1_503_435_956_000_247;
const TS: &str = "1503435956.000247";
const LATER: &str = "1503435960.000001";
const LATER_US: u64 = 1_503_435_960_000_001;

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("frames are JSON")
}
fn content(text: &str) -> Option<Content> {
    Some(Content { text: text.into(), ..Content::default() })
}
fn row(us: u64, text: &str) -> MessageRow {
    let kind = MessageKind::Plain.into();
    MessageRow { us, sender: "U01".into(), kind, content: content(text), ..MessageRow::default() }
}
fn told(us: u64, body: Body, aside: Aside) -> Vec<Value> {
    let workspace = WorkspaceId::parse("T01").unwrap();
    let log = LogId::new(workspace, ConversationId::parse("C01").unwrap());
    let event = Event { seq: 7, us, sender: "U01".into(), body: Some(body), ..Event::default() };
    events(&Delivery::new(log, event, aside)).iter().map(|text| value(text)).collect()
}
fn posted(text: &str, thread_us: u64, reply_broadcast: bool) -> Body {
    let client_msg_id = "m-1".to_owned();
    Body::Posted(v1::Posted { content: content(text), thread_us, reply_broadcast, client_msg_id })
}

#[test]
fn frames_of_the_protocol_itself() {
    assert_eq!(value(&hello()), json!({ "type": "hello" }));
    assert_eq!(value(&goodbye()), json!({ "type": "goodbye" }));
    let error = json!({ "type": "error", "error": { "code": 1, "msg": "Socket URL has expired" } });
    assert_eq!(value(&expired()), error);
    assert_eq!(value(&ack(Some(1), TS, "hi")), json!({ "ok": true, "reply_to": 1, "ts": TS, "text": "hi" }));
    assert_eq!(value(&ack(None, TS, "hi")), json!({ "ok": true, "ts": TS, "text": "hi" }));
    let refusal =
        json!({ "ok": false, "reply_to": 1, "error": { "code": 2, "msg": "message text is missing" } });
    assert_eq!(value(&refused(Some(1), 2, "message text is missing")), refusal);
    let typed = json!({ "type": "user_typing", "channel": "C01", "user": "U01" });
    assert_eq!(value(&typing("C01", "U01")), typed);
}

#[test]
fn a_ping_comes_back_with_everything_in_it() {
    let frame = br#"{"id":7,"type":"ping","timestamp":1503435956,"note":{"a":[1]}}"#;
    let Ok(RtmIn::Ping { id, extras }) = parse(frame) else { panic!("not a ping") };
    let expected = json!({ "type": "pong", "reply_to": 7, "timestamp": 1503435956, "note": { "a": [1] } });
    assert_eq!(value(&pong(id, &extras)), expected);
}

#[test]
fn messages_are_read_with_and_without_an_id() {
    let full = br#"{"id":3,"type":"message","channel":"C01","text":"hi","thread_ts":"1.000002",
                    "reply_broadcast":true}"#;
    let message = RtmMessage {
        id: Some(3),
        channel: "C01".into(),
        text: "hi".into(),
        thread_ts: Some("1.000002".into()),
        reply_broadcast: true,
    };
    assert_eq!(parse(full), Ok(RtmIn::Message(message)));
    let bare = b"{\"type\":\"message\",\"channel\":\"C01\",\"text\":\"hi\"}\n";
    let message = RtmMessage { channel: "C01".into(), text: "hi".into(), ..RtmMessage::default() };
    assert_eq!(parse(bare), Ok(RtmIn::Message(message)));
    assert_eq!(parse(br#"{"type":"message"}"#), Ok(RtmIn::Message(RtmMessage::default())));
}

#[test]
fn frames_that_ask_for_nothing_are_ignored_and_broken_ones_named() {
    for ignored in ["{}", r#"{"type":"presence_sub","ids":["U1"]}"#, r#"{"type":7}"#, r#"{"type":"typing"}"#]
    {
        assert_eq!(parse(ignored.as_bytes()), Ok(RtmIn::Ignored), "{ignored}");
    }
    for broken in ["", "hi", "[1]", "{", "\u{0}"] {
        assert_eq!(parse(broken.as_bytes()), Err(RtmError::NotJson), "{broken}");
    }
    assert_eq!(parse(b"\xff\xfe"), Err(RtmError::NotJson));
    assert_eq!(parse("[".repeat(10_000).as_bytes()), Err(RtmError::NotJson));
    assert_eq!(parse(&vec![b' '; FRAME_BYTES_MAX + 1]), Err(RtmError::TooLong));
}

#[test]
fn a_message_says_who_where_and_when() {
    let message = Arc::new(MessageRow { client_msg_id: "m-1".into(), ..row(US, "hi") });
    let live = told(US, posted("hi", 0, false), Aside { message: Some(message), ..Aside::default() });
    let expected = json!({
        "type": "message", "channel": "C01", "user": "U01", "text": "hi", "ts": TS, "event_ts": TS,
        "team": "T01", "client_msg_id": "m-1",
    });
    assert_eq!(live, std::slice::from_ref(&expected));
    assert_eq!(told(US, posted("hi", 0, false), Aside::default()), [expected], "the same on a replay");
}

#[test]
fn a_reply_is_a_message_and_news_of_its_parent() {
    let reply_users = vec![v1::ReplyUser { user: "U01".into(), count: 1 }];
    let parent = MessageRow { reply_count: 1, latest_reply_us: LATER_US, reply_users, ..row(US, "root") };
    let aside = || Aside { parent: Some(Arc::new(parent.clone())), ..Aside::default() };
    let frames = told(LATER_US, posted("re", US, false), aside());
    assert_eq!(frames.len(), 2);
    assert_eq!((&frames[0]["ts"], &frames[0]["thread_ts"]), (&json!(LATER), &json!(TS)));
    assert_eq!(frames[0]["parent_user_id"], "U01");
    assert_eq!(frames[0].get("subtype"), None);
    assert_eq!(frames[1]["subtype"], "message_replied");
    assert_eq!(frames[1]["hidden"], true);
    assert_eq!(frames[1]["message"]["ts"], TS);
    assert_eq!(
        (&frames[1]["message"]["reply_count"], &frames[1]["message"]["latest_reply"]),
        (&json!(1), &json!(LATER))
    );
    let broadcast = told(LATER_US, posted("re", US, true), aside());
    assert_eq!(broadcast[0]["subtype"], "thread_broadcast");
    assert_eq!(broadcast[0]["root"]["text"], "root");
}

#[test]
fn an_edit_shows_the_message_before_and_after() {
    let after = MessageRow { edited_us: LATER_US, edited_by: "U01".into(), ..row(US, "new") };
    let aside =
        Aside { message: Some(Arc::new(after)), previous: Some(Arc::new(row(US, "old"))), parent: None };
    let body = || Body::Edited(v1::Edited { target_us: US, content: content("new") });
    let expected = json!({
        "type": "message", "subtype": "message_changed", "hidden": true, "channel": "C01",
        "ts": LATER, "event_ts": LATER,
        "message": {
            "type": "message", "user": "U01", "team": "T01", "text": "new", "ts": TS,
            "edited": { "user": "U01", "ts": LATER },
        },
        "previous_message": { "type": "message", "user": "U01", "team": "T01", "text": "old", "ts": TS },
    });
    assert_eq!(told(LATER_US, body(), aside), std::slice::from_ref(&expected));
    let mut replayed = expected;
    replayed.as_object_mut().unwrap().remove("previous_message");
    assert_eq!(told(LATER_US, body(), Aside::default()), [replayed]);
}

#[test]
fn a_deletion_names_the_message_that_is_gone() {
    let aside = Aside { previous: Some(Arc::new(row(US, "old"))), ..Aside::default() };
    let expected = json!({
        "type": "message", "subtype": "message_deleted", "hidden": true, "channel": "C01",
        "ts": LATER, "event_ts": LATER, "deleted_ts": TS,
        "previous_message": { "type": "message", "user": "U01", "team": "T01", "text": "old", "ts": TS },
    });
    assert_eq!(told(LATER_US, Body::Deleted(v1::Deleted { target_us: US }), aside), [expected]);
}

#[test]
fn what_a_deletion_took_away_is_not_told_on_a_replay() {
    let gone = || Some(Content { redacted: true, ..Content::default() });
    let post = Body::Posted(v1::Posted { content: gone(), ..v1::Posted::default() });
    assert_eq!(told(US, post, Aside::default()), Vec::<Value>::new());
    let edit = Body::Edited(v1::Edited { target_us: US, content: gone() });
    assert_eq!(told(US, edit, Aside::default()), Vec::<Value>::new());
}

#[test]
fn reactions_name_the_message_and_its_author() {
    let author = MessageRow { sender: "U02".into(), ..row(US, "hi") };
    let aside = Aside { message: Some(Arc::new(author)), ..Aside::default() };
    let name = "wave".to_owned();
    let added = told(LATER_US, Body::Reacted(v1::Reacted { target_us: US, name: name.clone() }), aside);
    let expected = json!({
        "type": "reaction_added", "user": "U01", "reaction": "wave", "item_user": "U02",
        "item": { "type": "message", "channel": "C01", "ts": TS }, "event_ts": LATER,
    });
    assert_eq!(added, [expected]);
    let body = Body::Unreacted(v1::Unreacted { target_us: US, name });
    assert_eq!(told(LATER_US, body, Aside::default())[0]["type"], "reaction_removed");
}

#[test]
fn coming_and_going_is_a_line_and_an_event() {
    let joined = Body::Joined(v1::Joined { user: "U02".into(), inviter: "U01".into() });
    let frames = told(US, joined, Aside::default());
    assert_eq!((&frames[0]["subtype"], &frames[0]["user"]), (&json!("channel_join"), &json!("U02")));
    let expected = json!({
        "type": "member_joined_channel", "user": "U02", "channel": "C01", "channel_type": "C",
        "team": "T01", "inviter": "U01", "event_ts": TS,
    });
    assert_eq!(frames[1], expected);
    let left = told(US, Body::Left(v1::Left { user: "U02".into(), by: String::new() }), Aside::default());
    assert_eq!(
        (&left[0]["subtype"], &left[1]["type"]),
        (&json!("channel_leave"), &json!("member_left_channel"))
    );
}

#[test]
fn changes_of_the_channel_are_lines_with_their_value() {
    let topic = told(US, Body::TopicSet(v1::TopicSet { topic: "tea".into() }), Aside::default());
    assert_eq!((&topic[0]["subtype"], &topic[0]["topic"]), (&json!("channel_topic"), &json!("tea")));
    let archived = told(US, Body::Archived(v1::Archived {}), Aside::default());
    assert_eq!(archived[0]["subtype"], "channel_archive");
    let expected = json!({ "type": "channel_archive", "channel": "C01", "user": "U01", "event_ts": TS });
    assert_eq!(archived[1], expected);
    assert_eq!(told(US, Body::Created(v1::Created::default()), Aside::default()), Vec::<Value>::new());
}

proptest! {
    #[test]
    fn any_bytes_are_a_frame_or_named_broken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(RtmIn::Ping { id, extras }) = parse(&bytes) {
            prop_assert!(value(&pong(id, &extras)).is_object());
        }
    }
    #[test]
    fn any_object_is_a_frame(kind in "message|ping|typing|hello", text in ".{0,50}", id in any::<i64>()) {
        let frame = json!({ "type": kind, "id": id, "text": text, "channel": text, "thread_ts": id });
        let read = parse(frame.to_string().as_bytes());
        prop_assert!(read.is_ok());
        if let Ok(RtmIn::Message(message)) = read {
            prop_assert_eq!((message.id, message.text, message.thread_ts), (Some(id), text, Some(id.to_string())));
        }
    }
}
