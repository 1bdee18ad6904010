//! The wire contract over real HTTP: how clients of ten years send their calls, and what broken ones are told.

use super::oracle::Oracle;
use anyhow::Result;
use futures::StreamExt;
use serde_json::{Value, json};
use tests::harness::{Node, Reply, http, step};
use tokio_tungstenite::connect_async;
use tungstenite::Message;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const MULTIPART: &str = "multipart/form-data; boundary=xyz";

/// A node, a bot in #general of workspace `demo`, and how to call as it.
struct Wire {
    node: Node,
    token: String,
    channel: String,
}

impl Wire {
    async fn start() -> Result<Self> {
        let node = Node::start().await?;
        let bot = node.admin(&["user", "create", "--workspace", "demo", "helper", "--bot"]).await?;
        let token = node.admin(&["token", "create", "--workspace", "demo", "--user", &bot]).await?;
        let join = ["channel", "join", "--workspace", "demo", "--channel", "general", "--user", "helper"];
        node.admin(&join).await?;
        let answer = node.ok("conversations.list", &token, json!({})).await?;
        let channels = answer["channels"].as_array().into_iter().flatten();
        let general = channels.into_iter().find(|channel| channel["name"] == "general");
        let channel = general.and_then(|channel| channel["id"].as_str()).unwrap_or_default().to_owned();
        Ok(Self { node, token, channel })
    }
    async fn send(&self, verb: &str, path: &str, kind: Option<&str>, body: &[u8]) -> Result<Reply> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(kind.map(|kind| ("content-type", kind)));
        http::send(verb, &format!("{}{path}", self.node.base_url), &headers, body.to_vec()).await
    }
    async fn bare(&self, verb: &str, path: &str, kind: &str, body: &str) -> Result<Value> {
        let url = format!("{}{path}", self.node.base_url);
        http::send(verb, &url, &[("content-type", kind)], body.as_bytes().to_vec()).await?.json()
    }
}

#[tokio::test]
async fn calls_come_in_every_shape_that_clients_have() -> Result<()> {
    let wire = Wire::start().await?;
    let c = wire.channel.as_str();
    let form = format!("channel={c}&text=one%20%26%20two");
    let object = json!({ "channel": c, "text": "one & two" }).to_string();
    let part = |name: &str, value: &str| {
        format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = format!("{}{}--xyz--\r\n", part("channel", c), part("text", "one & two"));
    let utf8 = format!("{JSON};charset=utf-8");
    let in_query = format!("api/chat.postMessage?{form}");
    let half = format!("api/chat.postMessage?channel={c}");
    let cases: [(&str, &str, Option<&str>, &str); 9] = [
        ("POST", "api/chat.postMessage", Some(FORM), &form),
        ("POST", "api/chat.postMessage", Some(JSON), &object),
        ("POST", "api/chat.postMessage", Some(&utf8), &object),
        ("POST", "api/chat.postMessage", Some(MULTIPART), &multipart),
        ("GET", &in_query, None, ""),
        ("POST", &in_query, Some(FORM), ""),
        ("POST", &half, Some(FORM), "text=one%20%26%20two"),
        ("POST", "api//chat.postMessage", Some(JSON), &object),
        ("POST", "chat.postMessage", Some(JSON), &object),
    ];
    for (verb, path, kind, body) in cases {
        let reply = wire.send(verb, path, kind, body.as_bytes()).await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, &answer["ok"]), (200, &json!(true)), "{verb} {path} {kind:?}: {answer}");
        assert_eq!(answer["message"]["text"], "one & two", "{verb} {path} {kind:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_comes_in_the_header_the_form_the_query_or_the_object() -> Result<()> {
    let wire = Wire::start().await?;
    let token = &wire.token;
    let query = format!("api/auth.test?token={token}");
    let in_form = format!("token={token}");
    let in_object = json!({ "token": token }).to_string();
    for (verb, path, kind, body) in [
        ("GET", query.as_str(), FORM, ""),
        ("POST", "api/auth.test", FORM, in_form.as_str()),
        ("POST", "api/auth.test", JSON, in_object.as_str()),
    ] {
        assert_eq!(wire.bare(verb, path, kind, body).await?["user"], "helper", "{verb} {path} {kind}");
    }
    let empty = wire.send("POST", "api/auth.test", Some(JSON), b"").await?.json()?;
    assert_eq!(empty["user"], "helper", "a JSON call without arguments has an empty body");
    assert_eq!(wire.bare("POST", "api/auth.test", FORM, "").await?["error"], "not_authed");
    assert_eq!(wire.bare("POST", "api/auth.test", FORM, "token=xoxb-1").await?["error"], "invalid_auth");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_status_200_and_a_name() -> Result<()> {
    let wire = Wire::start().await?;
    let deep = format!("{{\"blocks\":{}", "[".repeat(200_000));
    let cases: [(&str, Option<&str>, &[u8], &str); 10] = [
        ("auth.test", Some(JSON), b"{", "invalid_json"),
        ("auth.test", Some(JSON), b"[]", "json_not_object"),
        ("auth.test", Some(JSON), b"\xff\xfe", "invalid_json"),
        ("auth.test", Some(JSON), deep.as_bytes(), "invalid_json"),
        ("auth.test", Some(FORM), b"text=%ff%fe", "invalid_form_data"),
        ("auth.test", Some("text/xml"), b"<a/>", "invalid_post_type"),
        ("auth.test", None, b"text=1", "missing_post_type"),
        ("auth.test", Some("application/json;charset=koi8-r"), b"{}", "invalid_charset"),
        ("auth.test", Some(MULTIPART), b"no parts at all", "invalid_form_data"),
        ("no.such", Some(JSON), b"{}", "unknown_method"),
    ];
    for (method, kind, body, error) in cases {
        let reply = wire.send("POST", &format!("api/{method}"), kind, body).await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, &answer["ok"]), (200, &json!(false)), "{kind:?} {error}");
        assert_eq!(answer["error"], error, "{kind:?}");
    }
    Ok(())
}

#[tokio::test]
async fn answers_carry_slacks_headers_and_look_like_slacks() -> Result<()> {
    let wire = Wire::start().await?;
    let reply = wire.send("POST", "api/conversations.list", Some(JSON), b"{}").await?;
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(reply.header("x-slack-req-id").is_some_and(|id| !id.is_empty()));
    assert!(reply.header("x-oauth-scopes").is_some_and(|scopes| scopes.contains("chat:write")));
    let accepted = "channels:read,groups:read,im:read,mpim:read";
    assert_eq!(reply.header("x-accepted-oauth-scopes"), Some(accepted));
    let oracle = Oracle::load();
    for method in
        ["conversations.list", "users.list", "auth.test", "team.info", "rtm.connect", "users.conversations"]
    {
        let answer = wire.node.ok(method, &wire.token, json!({})).await?;
        assert_eq!(oracle.reply(method, &answer), Vec::<String>::new(), "{method}: {answer:#}");
    }
    let identity = wire.node.ok("auth.test", &wire.token, json!({})).await?;
    assert_eq!(identity["url"], *wire.node.base_url, "what clients build later addresses from");
    let rtm = wire.node.ok("rtm.connect", &wire.token, json!({})).await?;
    let expected = http::socket_url(&wire.node.base_url, "rtm/");
    assert!(rtm["url"].as_str().is_some_and(|url| url.starts_with(&expected)), "{rtm}");
    Ok(())
}

/// The first text of a socket.
async fn first_text(url: &str) -> Result<Value> {
    let (mut socket, _) = step("an RTM handshake", connect_async(url)).await??;
    while let Some(message) = step("an RTM frame", socket.next()).await? {
        if let Message::Text(text) = message? {
            return Ok(serde_json::from_str(&text)?);
        }
    }
    anyhow::bail!("the socket closed without a word")
}

#[tokio::test]
async fn an_rtm_address_is_good_once_and_says_so() -> Result<()> {
    let wire = Wire::start().await?;
    let rtm = wire.node.ok("rtm.connect", &wire.token, json!({})).await?;
    let url = format!("{}?", rtm["url"].as_str().unwrap_or_default());
    assert_eq!(first_text(&url).await?, json!({ "type": "hello" }), "also behind a lone question mark");
    let expired = json!({ "type": "error", "error": { "code": 1, "msg": "Socket URL has expired" } });
    assert_eq!(first_text(&url).await?, expired);
    let nobody = http::socket_url(&wire.node.base_url, "rtm/0123456789abcdef");
    assert_eq!(first_text(&nobody).await?, expired);
    Ok(())
}

#[tokio::test]
async fn a_stopped_node_keeps_what_it_answered() -> Result<()> {
    let wire = Wire::start().await?;
    let say = json!({ "channel": wire.channel, "text": "kept" });
    let ts = wire.node.ok("chat.postMessage", &wire.token, say).await?["ts"].clone();
    let data = wire.node.data.clone();
    assert_eq!(wire.node.stop().await?, 0, "a clean stop");
    let serve = tests::harness::Serve { data: Some(data), ..Default::default() };
    let node = Node::serve(serve).await?;
    let page =
        node.ok("conversations.history", &wire.token, json!({ "channel": wire.channel, "limit": 1 })).await?;
    assert_eq!((&page["messages"][0]["ts"], &page["messages"][0]["text"]), (&ts, &json!("kept")));
    Ok(())
}
