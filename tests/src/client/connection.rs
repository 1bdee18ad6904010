//! The client's task: connect, hello, pump, and again.

use super::state::Effect;
use super::{ClientError, Options, Shared, backoff};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use proto::close::Close;
use proto::frame::{self, SERVER_FRAME_BYTES_MAX, WireForm};
use proto::v1::client_frame::Frame as Command;
use proto::v1::server_frame::Frame as Answer;
use proto::v1::{self, ClientFrame};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message};

/// Commands in flight before the first `welcome` names the limit.
const IN_FLIGHT_DEFAULT: usize = 1;
/// How long a server may be silent before its `welcome` says how often it pings, in ms.
const PING_INTERVAL_DEFAULT_MS: u32 = 10_000;

type Socket = WebSocketStream<TcpStream>;

/// How a connection ended.
#[derive(Debug, Default)]
struct Ending {
    welcomed: bool,
    close: Option<Close>,
}

/// Runs until the client is closed or the server asks it not to come back.
#[allow(clippy::disallowed_methods, reason = "the client stands outside of the product: it has no Host")]
pub(super) async fn run(shared: Arc<Shared>) {
    let mut attempt = 0;
    while shared.state().ended.is_none() {
        let ending = match open(&shared).await {
            Ok(socket) => live(&shared, socket).await,
            Err(NotOpen::Refused(status)) => return end(&shared, ClientError::Handshake(status)),
            Err(NotOpen::Failed) => Ending::default(),
        };
        offline(&shared);
        attempt = if ending.welcomed { 1 } else { attempt + 1 };
        let mut named = 0;
        if let Some(close) = ending.close {
            match close.reconnect_after_ms() {
                Some(delay) => named = delay,
                None => return end(&shared, ClientError::Closed(close)),
            }
            if let Some(address) = close.address {
                shared.state().url = address;
            }
        }
        let Options { backoff_base_ms, name, .. } = &shared.options;
        let delay = backoff::delay(*backoff_base_ms, attempt, u64::from(named), name);
        tokio::time::sleep(delay).await;
    }
}

/// Ends the client: everybody who waits is told why.
pub(super) fn end(shared: &Shared, why: ClientError) {
    let waiters = {
        let mut state = shared.state();
        state.online = false;
        state.ended.get_or_insert_with(|| why.clone());
        state.outbox.end()
    };
    for waiter in waiters {
        let _ = waiter.send(Err(why.clone()));
    }
    shared.changed.notify_waiters();
    shared.cut.notify_one();
}

fn offline(shared: &Shared) {
    let waiters = {
        let mut state = shared.state();
        state.online = false;
        state.receiver.cut();
        state.outbox.cut()
    };
    for waiter in waiters {
        let _ = waiter.send(Err(ClientError::Cut));
    }
    shared.changed.notify_waiters();
}

/// Why there is no connection.
enum NotOpen {
    /// Nobody there, or not now.
    Failed,
    /// A status that will be the same next time.
    Refused(u16),
}

async fn open(shared: &Shared) -> Result<Socket, NotOpen> {
    let request = request(shared).ok_or(NotOpen::Failed)?;
    let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let stream = TcpStream::connect(address).await.map_err(|_| NotOpen::Failed)?;
    stream.set_nodelay(true).map_err(|_| NotOpen::Failed)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(SERVER_FRAME_BYTES_MAX))
        .max_frame_size(Some(SERVER_FRAME_BYTES_MAX));
    match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) if matches!(response.status().as_u16(), 400..=428) => {
            Err(NotOpen::Refused(response.status().as_u16()))
        }
        Err(_) => Err(NotOpen::Failed),
    }
}

fn request(shared: &Shared) -> Option<Request> {
    let options = &shared.options;
    let mut request = shared.state().url.clone().into_client_request().ok()?;
    let (subprotocol, _) = frame::SUBPROTOCOLS.into_iter().find(|(_, form)| *form == options.form)?;
    let headers = request.headers_mut();
    headers.insert("Sec-WebSocket-Protocol", HeaderValue::from_static(subprotocol));
    if !options.token_in_hello && !options.token.is_empty() {
        let bearer = format!("Bearer {}", options.token);
        headers.insert("Authorization", HeaderValue::from_str(&bearer).ok()?);
    }
    Some(request)
}

/// One connection, from hello to its end.
async fn live(shared: &Arc<Shared>, mut socket: Socket) -> Ending {
    let options = &shared.options;
    let hello = v1::Hello {
        token: if options.token_in_hello { options.token.clone() } else { String::new() },
        cursors: shared.state().receiver.cursors(),
        client: options.name.clone(),
        manual: options.manual,
    };
    let hello = ClientFrame { id: 0, frame: Some(Command::Hello(hello)) };
    if socket.send(message(&hello, options.form)).await.is_err() {
        return Ending::default();
    }
    let (sink, stream) = socket.split();
    let mut ending = Ending::default();
    tokio::select! {
        () = read(shared, stream, &mut ending) => {}
        () = write(shared, sink) => {}
        () = shared.cut.notified() => {}
    }
    ending
}

fn message(frame: &ClientFrame, form: WireForm) -> Message {
    let payload = frame::encode_client(frame, form);
    match form {
        WireForm::Proto => Message::Binary(payload.into()),
        _ => Message::Text(String::from_utf8_lossy(&payload).into_owned().into()),
    }
}

/// Sends what waits, as long as the server allows.
async fn write(shared: &Shared, mut sink: SplitSink<Socket, Message>) {
    loop {
        let next = {
            let mut state = shared.state();
            let limit = match state.limits.posts_in_flight_max {
                0 => IN_FLIGHT_DEFAULT,
                limit => limit as usize,
            };
            if state.online { state.outbox.next(limit) } else { None }
        };
        match next {
            Some(frame) => {
                if sink.send(message(&frame, shared.options.form)).await.is_err() {
                    return;
                }
            }
            None => shared.outgoing.notified().await,
        }
    }
}

/// Reads until the connection ends or is silent for three ping intervals.
#[allow(clippy::disallowed_methods, reason = "the client stands outside of the product: it has no Host")]
async fn read(shared: &Arc<Shared>, mut stream: SplitStream<Socket>, ending: &mut Ending) {
    loop {
        let interval = match shared.state().limits.ping_interval_ms {
            0 => PING_INTERVAL_DEFAULT_MS,
            interval => interval,
        };
        let silence = Duration::from_millis(3 * u64::from(interval));
        let Ok(Some(Ok(message))) = tokio::time::timeout(silence, stream.next()).await else { return };
        let payload = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => &bytes[..],
            Message::Close(frame) => {
                ending.close = frame.as_ref().and_then(|f| Close::parse(f.code.into(), &f.reason));
                return;
            }
            _ => continue,
        };
        let Ok(frame) = frame::decode_server(payload, shared.options.form) else { return };
        ending.welcomed |= matches!(frame.frame, Some(Answer::Welcome(_)));
        let effect = shared.state().take(frame);
        match effect {
            Some(Effect::Tell(waiter, answer)) => drop(waiter.send(answer)),
            Some(Effect::Unpark(id, delay_ms)) => unpark_later(shared, id, delay_ms),
            Some(Effect::Leave(away)) => leave_in_turn(shared, &away),
            None => {}
        }
        shared.changed.notify_waiters();
        shared.outgoing.notify_one();
    }
}

/// Sends a refused command again when the server said that it makes sense.
#[allow(clippy::disallowed_methods, reason = "the client stands outside of the product: it has no Host")]
fn unpark_later(shared: &Arc<Shared>, id: u64, delay_ms: u32) {
    let shared = shared.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(u64::from(delay_ms))).await;
        shared.state().outbox.unpark(id);
        shared.outgoing.notify_one();
    });
}

/// Goes where the server said when our turn comes; until then the connection is used.
#[allow(clippy::disallowed_methods, reason = "the client stands outside of the product: it has no Host")]
fn leave_in_turn(shared: &Arc<Shared>, away: &v1::GoAway) {
    let (shared, delay) = (shared.clone(), Duration::from_millis(u64::from(away.delay_ms)));
    if !away.address.is_empty() {
        shared.state().url.clone_from(&away.address);
    }
    let welcomes = shared.state().stats.welcomes;
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        if shared.state().stats.welcomes == welcomes {
            shared.cut.notify_one();
        }
    });
}
