//! Bad input at the door of a real node: each meets a named limit, a clear answer and a count; nobody else feels it.

use anyhow::{Context, Result};
use serde_json::json;
use tests::harness::{Node, Serve, http, step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection that says what a test says, byte by byte.
pub(super) struct Raw(TcpStream);

impl Raw {
    pub(super) async fn connect(node: &Node) -> Result<Self> {
        let address = node.base_url.trim_start_matches("http://").trim_end_matches('/');
        Ok(Self(step("a connection", TcpStream::connect(address)).await??))
    }
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(step("a write", self.0.write_all(bytes)).await??)
    }
    /// What comes until `end` has come.
    pub(super) async fn hear_until(&mut self, end: &[u8]) -> Result<String> {
        let mut heard = Vec::new();
        while !heard.ends_with(end) {
            heard.push(step("an answer", self.0.read_u8()).await??);
        }
        Ok(String::from_utf8(heard)?)
    }
    /// What comes until the connection ends.
    async fn hear(mut self) -> Result<String> {
        let mut heard = Vec::new();
        step("the end of the connection", self.0.read_to_end(&mut heard)).await??;
        Ok(String::from_utf8(heard)?)
    }
}

async fn node(settings: &[(&str, &str)]) -> Result<Node> {
    let env = settings.iter().map(|(key, value)| (format!("WAGGLE_{key}"), (*value).to_owned())).collect();
    Node::serve(Serve { env, ..Default::default() }).await
}

/// The value of a metric, by its name and labels as the text has them.
async fn metric(node: &Node, name: &str) -> Result<f64> {
    let text = node.get("/metrics").await?.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("{name} is not in\n{text}"))?.parse()?)
}

#[tokio::test]
async fn a_request_that_is_too_large_in_any_way_is_answered_and_counted() -> Result<()> {
    let node = node(&[("GATEWAY__BODY_BYTES_MAX", "4096")]).await?;
    let mut raw = Raw::connect(&node).await?;
    raw.send(format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(8192)).as_bytes()).await?;
    assert!(raw.hear().await?.starts_with("HTTP/1.1 431 "));
    assert_eq!(metric(&node, "waggle_http_errors_total{kind=\"header_bytes_max\"}").await?, 1.0);

    let url = format!("{}chat.postMessage", node.api_url);
    for body in [vec![b'x'; 4097], vec![b'x'; 3_000_000]] {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let reply = http::send("POST", &url, &kind, body).await?;
        assert_eq!((reply.status, &reply.json()?["error"]), (200, &json!("invalid_arguments")));
        assert!(reply.text().contains("larger than 4096 bytes"), "{}", reply.text());
        assert!(reply.header("x-slack-req-id").is_some_and(|id| id.len() == 16));
    }
    assert_eq!(metric(&node, "waggle_gateway_refusals_total{limit=\"body_bytes_max\"}").await?, 2.0);
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_or_stops_in_the_middle_is_closed_by_its_limit() -> Result<()> {
    let settings = [("GATEWAY__HANDSHAKE_TIMEOUT_MS", "50"), ("GATEWAY__BODY_TIMEOUT_MS", "50")];
    let node = node(&settings).await?;
    assert_eq!(Raw::connect(&node).await?.hear().await?, "");
    let mut half = Raw::connect(&node).await?;
    half.send(b"GET /api/api.test HTTP/1.1\r\nhost: ").await?;
    assert_eq!(half.hear().await?, "");
    let mut stuck = Raw::connect(&node).await?;
    stuck.send(b"POST /api/api.test HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf").await?;
    assert!(stuck.hear().await?.contains("\"error\":\"request_timeout\""));
    assert_eq!(metric(&node, "waggle_http_errors_total{kind=\"handshake_timeout_ms\"}").await?, 2.0);
    assert_eq!(metric(&node, "waggle_gateway_refusals_total{limit=\"body_timeout_ms\"}").await?, 1.0);
    Ok(())
}

#[tokio::test]
async fn the_silent_cannot_keep_the_others_out() -> Result<()> {
    let node = node(&[("GATEWAY__HANDSHAKES_MAX", "8"), ("GATEWAY__HANDSHAKE_TIMEOUT_MS", "60000")]).await?;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Raw::connect(&node).await?);
    }
    // The ninth is told so at once; it need not ask anything.
    let refused = Raw::connect(&node).await?.hear().await?;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
    // Those who were let in are served, and each that asks makes room for one more.
    let mut first = held.pop().context("eight are held")?;
    first.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    first.hear_until(b"ok\n").await?;
    assert_eq!(node.get("/readyz").await?.status, 200);
    assert_eq!(metric(&node, "waggle_gateway_refusals_total{limit=\"handshakes_max\"}").await?, 1.0);
    assert_eq!(metric(&node, "ws_handshakes_pending").await?, 7.0);
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_no_text_and_requests_that_are_no_http_are_refused() -> Result<()> {
    let node = node(&[]).await?;
    for (bytes, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], ""), // a TLS client that knocks at a plain door
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400 "),
        (b"POST /api/api.test HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n", "HTTP/1.1 400 "),
        (b"DELETE /api/api.test HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 405 "),
        (
            b"GET /api/api.test HTTP/1.1\r\nconnection: close\r\nauthorization: Bearer \xff\r\n\r\n",
            "HTTP/1.1 200 ",
        ),
    ] {
        let mut raw = Raw::connect(&node).await?;
        raw.send(bytes).await?;
        if status.is_empty() {
            raw.send(b"\r\n\r\n").await?;
        }
        let answer = raw.hear().await?;
        assert!(
            answer.starts_with(if status.is_empty() { "HTTP/1.1 400 " } else { status }),
            "{bytes:?} {answer}"
        );
    }
    let json = [("content-type", "application/json")];
    let url = format!("{}auth.test", node.api_url);
    for (body, error) in [(vec![0xff, 0xfe], "invalid_json"), (b"[".repeat(100_000), "invalid_json")] {
        let reply = http::send("POST", &url, &json, body).await?;
        assert_eq!((reply.status, &reply.json()?["error"]), (200, &json!(error)));
    }
    assert_eq!(node.stop().await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_node_that_cannot_send_everybody_away_in_time_says_so_by_its_exit_code() -> Result<()> {
    let node = node(&[("NODE__DRAIN_TIMEOUT_MS", "100"), ("ACTORS__HELLO_TIMEOUT_MS", "60000")]).await?;
    let mut silent = Raw::connect(&node).await?;
    let handshake = "GET /connect HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     sec-websocket-protocol: waggle.v1.json\r\n\r\n";
    silent.send(handshake.as_bytes()).await?;
    assert!(silent.hear_until(b"\r\n\r\n").await?.starts_with("HTTP/1.1 101 "));
    assert_eq!(node.stop().await?, 5);
    Ok(())
}
