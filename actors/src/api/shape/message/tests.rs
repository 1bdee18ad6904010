use super::*;
use proto::id::UserId;
use proto::v1::ReplyUser;

const US: Micros = 1_503_435_956_000_247;

fn workspace() -> WorkspaceId {
    WorkspaceId::parse("T01").unwrap()
}
fn row() -> MessageRow {
    MessageRow {
        us: US,
        sender: "U01".into(),
        kind: MessageKind::Plain.into(),
        content: Some(Content { text: "hi &amp; bye".into(), ..Content::default() }),
        ..MessageRow::default()
    }
}
fn shown(channel: &str, row: &MessageRow) -> Value {
    Value::Object(message(&workspace(), channel, row))
}

#[test]
fn a_plain_message_is_its_text_as_sent() {
    let expected = json!({
        "type": "message", "ts": "1503435956.000247", "user": "U01", "team": "T01", "text": "hi &amp; bye",
    });
    assert_eq!(shown("C01", &row()), expected);
}

#[test]
fn an_edited_message_says_by_whom_and_when() {
    let edited = MessageRow { edited_us: US + 1, edited_by: "U01".into(), ..row() };
    assert_eq!(shown("C01", &edited)["edited"], json!({ "user": "U01", "ts": "1503435956.000248" }));
}

#[test]
fn a_parent_counts_its_replies_and_a_reply_names_its_parent() {
    let reply_users = vec![ReplyUser { user: "U02".into(), count: 2 }];
    let parent = MessageRow { reply_count: 2, latest_reply_us: US + 9, reply_users, ..row() };
    let shape = shown("C01", &parent);
    assert_eq!(shape["thread_ts"], shape["ts"]);
    assert_eq!(shape["reply_count"], 2);
    assert_eq!(shape["reply_users"], json!(["U02"]));
    assert_eq!(shape["reply_users_count"], 1);
    assert_eq!(shape["latest_reply"], "1503435956.000256");
    let reply = MessageRow { us: US + 9, thread_us: US, ..row() };
    assert_eq!(shown("C01", &reply)["thread_ts"], "1503435956.000247");
    assert_eq!(shown("C01", &reply).get("subtype"), None);
    let broadcast = MessageRow { reply_broadcast: true, ..reply };
    assert_eq!(shown("C01", &broadcast)["subtype"], "thread_broadcast");
}

#[test]
fn structured_parts_come_back_as_sent_and_bots_are_named() {
    let content = Content {
        blocks: r#"[{"type":"divider"}]"#.into(),
        attachments: r#"[{"fallback":"x"}]"#.into(),
        bot_id: "B01".into(),
        app_id: "A01".into(),
        ..Content::default()
    };
    let bot = shown("C01", &MessageRow { content: Some(content.clone()), ..row() });
    assert_eq!(bot["blocks"], json!([{ "type": "divider" }]));
    assert_eq!(bot["attachments"], json!([{ "fallback": "x" }]));
    assert_eq!((&bot["bot_id"], &bot["app_id"]), (&json!("B01"), &json!("A01")));
    assert_eq!(bot.get("subtype"), None);
    let content = Content { username: "Santa".into(), icon_emoji: ":santa:".into(), ..content };
    let disguised = shown("C01", &MessageRow { content: Some(content), ..row() });
    assert_eq!(disguised["subtype"], "bot_message");
    assert_eq!(disguised["username"], "Santa");
    assert_eq!(disguised["icons"], json!({ "emoji": ":santa:" }));
}

#[test]
fn lines_about_the_channel_have_their_subtype_and_value() {
    let told = |kind: MessageKind, value: &str| {
        let content = Some(Content { text: value.into(), ..Content::default() });
        MessageRow { kind: kind.into(), content, ..row() }
    };
    let join = shown("C01", &told(MessageKind::Join, ""));
    assert_eq!((&join["subtype"], &join["user"]), (&json!("channel_join"), &json!("U01")));
    assert_eq!(join["text"], "<@U01> has joined the channel");
    assert_eq!(shown("G01", &told(MessageKind::Leave, ""))["subtype"], "group_leave");
    let topic = shown("C01", &told(MessageKind::Topic, "tea"));
    assert_eq!((&topic["subtype"], &topic["topic"]), (&json!("channel_topic"), &json!("tea")));
    let name = shown("C01", &told(MessageKind::Rename, "tea"));
    assert_eq!((&name["subtype"], &name["name"]), (&json!("channel_name"), &json!("tea")));
    let by_system = MessageRow { sender: String::new(), ..told(MessageKind::Archive, "") };
    assert_eq!(shown("C01", &by_system).get("user"), None);
}

#[test]
fn a_deleted_parent_is_a_tombstone_without_its_text() {
    let stone = MessageRow { kind: MessageKind::Tombstone.into(), reply_count: 1, content: None, ..row() };
    let shape = shown("C01", &stone);
    assert_eq!(shape["subtype"], "tombstone");
    assert_eq!(shape["user"], "USLACKBOT");
    assert_eq!(shape["reply_count"], 1);
}

#[test]
fn reactions_are_those_of_the_message_alone() {
    let users = vec![UserId::parse("U01").unwrap()];
    let count = |us, name: &str| ReactionCount { us, name: name.into(), count: 51, users: users.clone() };
    let counts = [count(US, "wave"), count(US + 1, "eyes")];
    let expected = json!([{ "name": "wave", "users": ["U01"], "count": 51 }]);
    assert_eq!(reactions(&counts, US), Some(expected));
    assert_eq!(reactions(&counts, US + 2), None);
}
