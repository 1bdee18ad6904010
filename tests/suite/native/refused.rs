//! What the server does not take: every status and close code of PROTOCOL.md, by name.

use super::raw::{Heard, JSON, Opened, PROTO, Raw};
use super::stage::Stage;
use anyhow::Result;
use proto::close::CloseCode;
use proto::v1::event::Body;
use serde_json::{Value, json};
use tests::client::{Client, ClientError};
use tests::harness::step;
use tungstenite::Message;

async fn status(url: &str, subprotocol: Option<&str>, bearer: Option<&str>) -> Result<u16> {
    match Raw::open(url, subprotocol, bearer).await? {
        Opened::Socket(_) => Ok(101),
        Opened::Refused(status, _) => Ok(status),
    }
}

fn hello(id: u64) -> Value {
    json!({ "id": id.to_string(), "hello": {} })
}

#[tokio::test]
async fn handshakes_that_cannot_be_taken_are_answered_with_a_status() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let (url, token) = (stage.url(), Some(&ada.token[..]));
    assert_eq!(status(&url, None, token).await?, 400, "no subprotocol");
    assert_eq!(status(&url, Some("mqtt"), token).await?, 400, "unknown subprotocol");
    assert_eq!(status(&url, Some(JSON), Some("xoxp-nobody")).await?, 401, "unknown token");
    assert_eq!(status(&format!("{url}?ticket=used-up"), Some(JSON), None).await?, 401, "unknown ticket");
    assert_eq!(status(&url, Some("mqtt, waggle.v1.proto"), token).await?, 101, "the first that is known");
    assert_eq!(status(&url, Some(JSON), None).await?, 101, "hello may say who it is");
    Ok(())
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_when_to_come_back() -> Result<()> {
    let stage = Stage::with(&[("WAGGLE_ACTORS__SESSIONS_MAX", "2")]).await?;
    let ada = stage.person("ada").await?;
    let url = stage.url();
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(Raw::welcomed(&url, &ada.token, json!([])).await?);
    }
    match Raw::open(&url, Some(JSON), Some(&ada.token)).await? {
        Opened::Refused(status, wait) => {
            assert!([429, 503].contains(&status), "{status}");
            assert!(wait.is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|s| s >= 1)), "Retry-After");
        }
        Opened::Socket(mut raw) => raw.closed(CloseCode::TooManyConnections).await?,
    }
    drop(held.pop());
    let again = async {
        while status(&url, Some(JSON), Some(&ada.token)).await? != 101 {}
        anyhow::Ok(())
    };
    step("a place that became free", again).await?
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() -> Result<()> {
    let stage = Stage::with(&[("WAGGLE_ACTORS__HELLO_TIMEOUT_MS", "200")]).await?;
    let ada = stage.person("ada").await?;
    Raw::json(&stage.url(), &ada.token).await?.closed(CloseCode::HelloTimeout).await
}

#[tokio::test]
async fn who_answers_no_ping_is_idle() -> Result<()> {
    let stage = Stage::with(&[("WAGGLE_ACTORS__PING_INTERVAL_MS", "100")]).await?;
    let ada = stage.person("ada").await?;
    let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
    // Nothing is read meanwhile, so no ping is answered.
    stage.until_metric("waggle_sessions_closed_total", 1.0).await?;
    raw.closed(CloseCode::Idle).await
}

#[tokio::test]
async fn frames_that_are_none_end_the_connection_by_name() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let twice = r#"{"id":"1","ping":{"note":"a","note":"b"}}"#;
    let two = r#"{"id":"1","ping":{},"typing":{}}"#;
    for text in ["", "no JSON", "[]", "null", "{\"id\":", &deep, twice, two, "{} and more"] {
        let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
        raw.send(Message::text(text)).await?;
        raw.closed(CloseCode::BadFrame).await?;
    }
    let truncated = [0x2a, 0x7f, 0x0a];
    for bytes in [&[0xff; 64][..], &truncated] {
        let mut raw = proto_welcomed(&stage, &ada.token).await?;
        raw.send(Message::binary(bytes.to_vec())).await?;
        raw.closed(CloseCode::BadFrame).await?;
    }
    Ok(())
}

/// A connection in protobuf, welcomed.
async fn proto_welcomed(stage: &Stage, token: &str) -> Result<Raw> {
    let opened = Raw::open(&stage.url(), Some(PROTO), Some(token)).await?;
    let Opened::Socket(mut raw) = opened else { anyhow::bail!("the handshake was refused") };
    let hello = proto::v1::client_frame::Frame::Hello(proto::v1::Hello::default());
    let hello = proto::v1::ClientFrame { id: 1, frame: Some(hello) };
    raw.send(Message::binary(prost::Message::encode_to_vec(&hello))).await?;
    match raw.hear().await? {
        Heard::Binary(_) => Ok(*raw),
        other => anyhow::bail!("no welcome: {other:?}"),
    }
}

#[tokio::test]
async fn a_frame_above_the_limit_ends_the_connection_and_one_at_the_limit_does_not() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let (mut raw, welcome) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
    let limit = usize::try_from(welcome["limits"]["frameBytesMax"].as_u64().expect("a number"))?;
    assert_eq!(limit, proto::frame::FRAME_BYTES_MAX);
    let frame = |bytes: usize| {
        let bare = json!({ "id": "7", "ping": { "note": "" } }).to_string().len();
        json!({ "id": "7", "ping": { "note": "x".repeat(bytes - bare) } })
    };
    raw.say(&frame(limit)).await?;
    let note = raw.until("pong").await?["note"].as_str().map(str::len);
    assert!(note.is_some_and(|len| len > limit - 100), "{note:?}");
    raw.say(&frame(limit + 1)).await?;
    raw.closed(CloseCode::FrameTooLarge).await
}

#[tokio::test]
async fn hello_comes_first_and_once() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let mut raw = Raw::json(&stage.url(), &ada.token).await?;
    raw.say(&json!({ "id": "1", "ping": {} })).await?;
    raw.closed(CloseCode::ProtocolError).await?;
    let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
    raw.say(&hello(2)).await?;
    raw.closed(CloseCode::ProtocolError).await
}

#[tokio::test]
async fn a_hello_of_nobody_is_refused_and_closed() -> Result<()> {
    let stage = Stage::start().await?;
    for (token, code) in [("", "not_authed"), ("xoxp-nobody", "invalid_auth")] {
        let Opened::Socket(mut raw) = Raw::open(&stage.url(), Some(JSON), None).await? else {
            panic!("the handshake needs no token")
        };
        raw.say(&json!({ "id": "5", "hello": { "token": token } })).await?;
        let Heard::Frame(frame) = raw.hear().await? else { panic!("a refusal comes before the close") };
        assert_eq!((&frame["re"], &frame["refused"]["code"]), (&json!("5"), &json!(code)));
        raw.closed(CloseCode::NotAuthenticated).await?;
    }
    Ok(())
}

#[tokio::test]
async fn whose_token_is_revoked_between_handshake_and_hello_is_not_let_in() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let mut raw = Raw::json(&stage.url(), &ada.token).await?;
    stage.node.admin(&["token", "revoke", &ada.token]).await?;
    raw.say(&hello(1)).await?;
    let Heard::Frame(frame) = raw.hear().await? else { panic!("a refusal comes before the close") };
    assert_eq!((&frame["re"], &frame["refused"]["code"]), (&json!("1"), &json!("token_revoked")), "{frame}");
    raw.closed(CloseCode::NotAuthenticated).await
}

#[tokio::test]
async fn a_revoked_token_ends_its_live_sessions_and_opens_no_more() -> Result<()> {
    let stage = Stage::start().await?;
    let (ada, bob) = (stage.person("ada").await?, stage.person("bob").await?);
    let client = stage.client(&ada).await?;
    let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
    let other = stage.client(&bob).await?;
    let (mut stays, _) = Raw::welcomed(&stage.url(), &stage.another_token(&ada).await?, json!([])).await?;
    stage.node.admin(&["token", "revoke", &ada.token]).await?;
    raw.closed(CloseCode::Revoked).await?;
    let ended = step("the client's end", client.ended()).await?;
    assert!(matches!(&ended, ClientError::Closed(close) if close.code == CloseCode::Revoked), "{ended:?}");
    let again = step("a refusal", Client::connect(stage.options(&ada))).await?;
    assert_eq!(again.err(), Some(ClientError::Handshake(401)));
    assert_eq!(step("a pong", other.ping("I stay")).await??, "I stay");
    while stays.until("deliver").await?["events"][0]["tokenRevoked"].is_null() {}
    stays.say(&json!({ "id": "2", "ping": { "note": "I stay too" } })).await?;
    assert_eq!(stays.until("pong").await?, json!({ "note": "I stay too" }), "it has a token of its own");
    Ok(())
}

#[tokio::test]
async fn frames_of_a_newer_protocol_are_refused_by_name_and_their_fields_passed_over() -> Result<()> {
    let stage = Stage::start().await?;
    let ada = stage.person("ada").await?;
    let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
    raw.say(&json!({ "id": "9", "teleport": { "to": "mars" } })).await?;
    let refused = raw.until("refused").await?;
    assert_eq!((&refused["code"], &refused["state"]), (&json!("unknown_frame"), &json!("not_applied")));
    raw.say(&json!({ "id": "10", "ping": { "note": "still here", "colour": "blue" } })).await?;
    assert_eq!(raw.until("pong").await?, json!({ "note": "still here" }));
    Ok(())
}

#[tokio::test]
async fn commands_beyond_the_window_or_the_rate_are_refused_with_a_delay_and_not_applied() -> Result<()> {
    const POSTS: usize = 100;
    let slow = [("WAGGLE_ACTORS__RATE_PER_S", "20"), ("WAGGLE_ACTORS__RATE_BURST", "60")];
    let narrow = [("WAGGLE_ACTORS__POSTS_IN_FLIGHT_MAX", "1")];
    for settings in [&slow[..], &narrow] {
        let stage = Stage::with(settings).await?;
        let ada = stage.person("ada").await?;
        let channel = stage.channel("general", &[&ada]).await?;
        let (mut raw, _) = Raw::welcomed(&stage.url(), &ada.token, json!([])).await?;
        for n in 1..=POSTS {
            let post = json!({ "channel": channel, "content": { "text": format!("post {n}") } });
            raw.feed(&json!({ "id": n.to_string(), "post": post })).await?;
        }
        raw.flush().await?;
        let (mut acks, mut refusals, mut seen) = (0, 0, 0);
        while acks + refusals < POSTS || seen < acks {
            let Heard::Frame(frame) = raw.hear().await? else { panic!("the connection stays") };
            acks += usize::from(!frame["ack"].is_null());
            seen += frame["deliver"]["events"].as_array().map_or(0, Vec::len);
            if let Some(refused) = frame["refused"].as_object() {
                let (code, state) = (&refused["code"], &refused["state"]);
                assert_eq!((code, state), (&json!("ratelimited"), &json!("not_applied")));
                assert!(refused["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{refused:?}");
                refusals += 1;
            }
        }
        assert!(acks > 0 && refusals > 0, "{settings:?}: {acks} acks, {refusals} refusals");
        let page = step("a page", stage.client(&ada).await?.range(&channel, 0, 500)).await??;
        let posted = page.events.iter().filter(|event| matches!(event.body, Some(Body::Posted(_)))).count();
        assert_eq!(posted, acks, "what was refused left no trace");
    }
    Ok(())
}
