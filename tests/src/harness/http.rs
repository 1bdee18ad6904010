//! One HTTP request a connection: a client with no opinions, so that tests see what the server really says.

use super::step;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The first header of this name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).context("the body is JSON")
    }
}

/// Calls a method of the Web API at this base URL with a JSON body.
pub async fn api(api_url: &str, method: &str, token: &str, args: &Value) -> Result<Value> {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = args.to_string().into_bytes();
    let reply = send("POST", &format!("{api_url}{method}"), &headers, body).await?;
    reply.json().with_context(|| format!("{method} answered {}: {:?}", reply.status, reply.text()))
}

/// The WebSocket URL of a path at a node.
pub fn socket_url(base_url: &str, path: &str) -> String {
    format!("{}{path}", base_url.replacen("http", "ws", 1))
}

/// Sends one request to `http://HOST:PORT/…` and reads the whole answer.
pub async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Reply> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is no http URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !host.starts_with("127.0.0.1:") {
        bail!("tests talk to 127.0.0.1 only, not to {host}");
    }
    let mut request = Request::builder().method(method).uri(format!("/{path}")).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body)))?;
    step(&format!("{method} {url}"), exchange(host, request)).await?
}

async fn exchange(host: &str, request: Request<Full<Bytes>>) -> Result<Reply> {
    let stream =
        tokio::net::TcpStream::connect(host).await.with_context(|| format!("connecting to {host}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let text =
            |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers =
            response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::Ok(Reply { status, headers, body })
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        reply = &mut exchange => reply,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}
