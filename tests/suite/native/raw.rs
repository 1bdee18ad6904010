//! A WebSocket without a mind of its own: it says what a test says, however wrong, and hears what comes.

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use proto::close::{Close, CloseCode};
use serde_json::{Value, json};
use tests::harness::step;
use tokio::net::TcpSocket;
use tokio_tungstenite::WebSocketStream;
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message};

pub(crate) const JSON: &str = "waggle.v1.json";
pub(crate) const PROTO: &str = "waggle.v1.proto";
/// A small receive buffer, in bytes, so that a reader who stops is felt soon.
const RECEIVE_BYTES: u32 = 4096;

pub(crate) struct Raw(WebSocketStream<tokio::net::TcpStream>);

/// What a handshake came to.
pub(crate) enum Opened {
    Socket(Box<Raw>),
    /// HTTP status and `Retry-After`.
    Refused(u16, Option<String>),
}

impl Raw {
    /// A handshake with these headers.
    pub(crate) async fn open(url: &str, subprotocol: Option<&str>, bearer: Option<&str>) -> Result<Opened> {
        let mut request = url.into_client_request()?;
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_str(subprotocol)?);
        }
        if let Some(bearer) = bearer {
            request
                .headers_mut()
                .insert("Authorization", HeaderValue::from_str(&format!("Bearer {bearer}"))?);
        }
        let address = request.uri().authority().context("an address")?.as_str().parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        let stream = step("a connection", socket.connect(address)).await??;
        let handshake = Box::pin(tokio_tungstenite::client_async(request, stream));
        match step("a handshake", handshake).await? {
            Ok((socket, _)) => Ok(Opened::Socket(Box::new(Self(socket)))),
            Err(Error::Http(response)) => {
                let wait = response.headers().get("retry-after");
                let wait = wait.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
                Ok(Opened::Refused(response.status().as_u16(), wait))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A connection that speaks JSON, its `hello` not yet said.
    pub(crate) async fn json(url: &str, token: &str) -> Result<Self> {
        match Self::open(url, Some(JSON), Some(token)).await? {
            Opened::Socket(raw) => Ok(*raw),
            Opened::Refused(status, _) => bail!("the handshake was refused with {status}"),
        }
    }
    /// A connection that speaks JSON and has been welcomed; the welcome.
    pub(crate) async fn welcomed(url: &str, token: &str, cursors: Value) -> Result<(Self, Value)> {
        let mut raw = Self::json(url, token).await?;
        raw.say(&json!({ "id": "1", "hello": { "cursors": cursors } })).await?;
        let welcome = raw.until("welcome").await?;
        Ok((raw, welcome))
    }

    pub(crate) async fn say(&mut self, frame: &Value) -> Result<()> {
        self.send(Message::text(frame.to_string())).await
    }
    pub(crate) async fn send(&mut self, message: Message) -> Result<()> {
        Ok(step("sending", self.0.send(message)).await??)
    }

    /// Queues a frame behind others; [`Raw::flush`] sends them all at once.
    pub(crate) async fn feed(&mut self, frame: &Value) -> Result<()> {
        Ok(step("queueing", self.0.feed(Message::text(frame.to_string()))).await??)
    }
    pub(crate) async fn flush(&mut self) -> Result<()> {
        Ok(step("sending", self.0.flush()).await??)
    }

    /// The next frame, or how the connection ended. Pings are answered and passed over.
    pub(crate) async fn hear(&mut self) -> Result<Heard> {
        step("a frame", self.next()).await?
    }
    async fn next(&mut self) -> Result<Heard> {
        loop {
            return Ok(match self.0.next().await {
                None | Some(Err(_)) => Heard::Gone,
                Some(Ok(Message::Text(text))) => Heard::Frame(serde_json::from_str(&text)?),
                Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes.to_vec()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    Heard::Closed(frame.code.into(), frame.reason.to_string())
                }
                Some(Ok(Message::Close(None))) => Heard::Gone,
                Some(Ok(_)) => continue,
            });
        }
    }
    /// The next frame that has this field; those before it are passed over.
    pub(crate) async fn until(&mut self, field: &str) -> Result<Value> {
        loop {
            match self.hear().await? {
                Heard::Frame(frame) if !frame[field].is_null() => return Ok(frame[field].clone()),
                Heard::Frame(_) => {}
                other => bail!("waiting for {field}: {other:?}"),
            }
        }
    }
    /// Hears the connection out: it has to end with this code, by name.
    pub(crate) async fn closed(&mut self, code: CloseCode) -> Result<()> {
        loop {
            match self.hear().await? {
                Heard::Frame(_) | Heard::Binary(_) => {}
                Heard::Closed(number, reason) => {
                    let close = Close::parse(number, &reason);
                    let close = close.with_context(|| format!("{number} {reason:?} is none of ours"))?;
                    anyhow::ensure!(close.code == code, "closed with {close:?}, not {code}");
                    anyhow::ensure!(
                        reason.split(' ').next() == Some(code.name()),
                        "the reason is {reason:?}"
                    );
                    return Ok(());
                }
                Heard::Gone => bail!("the connection ended without a close frame, not with {code}"),
            }
        }
    }
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Frame(Value),
    Binary(#[allow(dead_code, reason = "shown when it was not expected")] Vec<u8>),
    Closed(u16, String),
    Gone,
}
