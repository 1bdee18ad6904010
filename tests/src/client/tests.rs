//! The client against a scripted server: a real socket on 127.0.0.1, whose other end says what the test
//! wants.

use super::*;
use futures::{SinkExt, StreamExt};
use proto::close::CloseCode;
use proto::frame;
use proto::v1::client_frame::Frame as Command;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::CloseFrame;

const CHANNEL: &str = "C0000000001";

/// The server's end of one connection.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    form: WireForm,
    bearer: Option<String>,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (mut form, mut bearer) = (WireForm::Proto, None);
        #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let negotiate = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
            let offered = header("Sec-WebSocket-Protocol").unwrap_or_default();
            let (name, chosen) = WireForm::negotiate(offered).expect("a subprotocol we know");
            form = chosen;
            bearer = header("Authorization").map(str::to_owned);
            response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(name));
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, negotiate).await.expect("a handshake");
        Self { socket, form, bearer }
    }
    async fn next(&mut self) -> v1::ClientFrame {
        loop {
            let message = self.socket.next().await.expect("a message").expect("a whole message");
            let payload = match &message {
                Message::Text(text) if self.form == WireForm::Json => text.as_bytes(),
                Message::Binary(bytes) if self.form == WireForm::Proto => &bytes[..],
                _ => continue,
            };
            return frame::decode_client(payload, self.form).expect("a client frame");
        }
    }
    async fn say(&mut self, re: u64, answer: Answer) {
        let encoded = frame::encode_server(&v1::ServerFrame { re, frame: Some(answer) }, self.form);
        let header = match encoded[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let payload = encoded.slice(header..);
        let message = match self.form {
            WireForm::Json => Message::Text(String::from_utf8_lossy(&payload).into_owned().into()),
            _ => Message::Binary(payload),
        };
        self.socket.send(message).await.expect("the client reads");
    }
    /// Reads the hello, says welcome, returns the cursors.
    async fn welcome(&mut self, following: &[(&str, u64)]) -> Vec<(String, u64)> {
        let Some(Command::Hello(hello)) = self.next().await.frame else { panic!("the first frame is hello") };
        let limits = v1::Limits { posts_in_flight_max: 2, ping_interval_ms: 10_000, ..Default::default() };
        let following = following.iter().map(|(c, seq)| v1::Cursor { channel: (*c).to_owned(), seq: *seq });
        let welcome = v1::Welcome {
            user: "U1".to_owned(),
            limits: Some(limits),
            following: following.collect(),
            ..Default::default()
        };
        self.say(0, Answer::Welcome(welcome)).await;
        hello.cursors.into_iter().map(|cursor| (cursor.channel, cursor.seq)).collect()
    }
    /// Reads a post: its number and key.
    async fn post(&mut self) -> (u64, String) {
        let frame = self.next().await;
        let Some(Command::Post(post)) = frame.frame else { panic!("a post, not {frame:?}") };
        (frame.id, post.key)
    }
    async fn ack(&mut self, re: u64, seq: u64) {
        self.say(re, Answer::Ack(v1::Ack { channel: CHANNEL.to_owned(), seq, ..Default::default() })).await;
    }
    async fn deliver(&mut self, seqs: &[u64]) {
        let deliver = v1::Deliver { channel: CHANNEL.to_owned(), events: events(seqs) };
        self.say(0, Answer::Deliver(deliver)).await;
    }
    async fn close(&mut self, close: Close) {
        let frame = CloseFrame { code: close.code.number().into(), reason: close.reason().into() };
        self.socket.close(Some(frame)).await.expect("a close frame goes out");
    }
}

fn events(seqs: &[u64]) -> Vec<v1::Event> {
    seqs.iter().map(|seq| v1::Event { seq: *seq, ..Default::default() }).collect()
}

fn seqs(client: &Client) -> Vec<u64> {
    client.events(CHANNEL).iter().map(|event| event.seq).collect()
}

/// A listener and the options of a client that connects to it and comes back at once.
async fn stage() -> (TcpListener, Options) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("ws://{}/connect", listener.local_addr().expect("an address"));
    (listener, Options { backoff_base_ms: 1, ..Options::new(url, "xoxp-1") })
}

#[tokio::test]
async fn the_token_goes_as_a_header_or_in_hello_and_both_forms_work() {
    for (form, token_in_hello) in [(WireForm::Proto, false), (WireForm::Json, true)] {
        let (listener, options) = stage().await;
        let client = Client::start(Options { form, token_in_hello, ..options });
        let mut peer = Peer::accept(&listener).await;
        assert_eq!((peer.form, peer.bearer.is_none()), (form, token_in_hello));
        let Some(Command::Hello(hello)) = peer.next().await.frame else { panic!("hello is first") };
        assert_eq!(hello.token.is_empty(), !token_in_hello);
        peer.say(0, Answer::Welcome(v1::Welcome { user: "U1".to_owned(), ..Default::default() })).await;
        client.notices(1, |notice| matches!(notice, Answer::Welcome(_))).await.expect("a welcome");
        assert_eq!(client.user(), "U1");
    }
}

#[tokio::test]
async fn a_post_is_acknowledged_and_events_come_in_order() {
    let (listener, options) = stage().await;
    let mut client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[(CHANNEL, 4)]).await;
    let post = client.post(CHANNEL, "hi", "k1");
    let serve = async {
        let (id, key) = peer.post().await;
        assert_eq!(key, "k1");
        peer.deliver(&[5, 6]).await;
        peer.ack(id, 6).await;
    };
    let (ack, ()) = futures::join!(post, serve);
    assert_eq!(ack.map(|ack| ack.seq), Ok(6));
    assert_eq!(client.next_event().await.map(|(_, event)| event.seq), Ok(5));
    assert_eq!(client.next_event().await.map(|(_, event)| event.seq), Ok(6));
}

#[tokio::test]
async fn after_a_cut_it_resumes_by_cursor_and_sends_the_unacknowledged_again_under_the_same_keys() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.welcome(&[(CHANNEL, 0)]).await, []);
    let posts = ["k1", "k2", "k3"].map(|key| client.post(CHANNEL, key, key));
    let serve = async {
        let (first, _) = peer.post().await;
        peer.deliver(&[1]).await;
        peer.ack(first, 1).await;
        assert_eq!(peer.post().await.1, "k2");
        assert_eq!(peer.post().await.1, "k3");
        client.applied(CHANNEL, 1).await.expect("delivered");
        drop(peer);
        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.welcome(&[(CHANNEL, 1)]).await, [(CHANNEL.to_owned(), 1)]);
        // k2 was appended before the cut: the server says so again. k3 was not.
        for (key, seq) in [("k2", 2), ("k3", 3)] {
            let (id, sent) = peer.post().await;
            assert_eq!(sent, key);
            peer.deliver(&[seq]).await;
            peer.ack(id, seq).await;
        }
        client.applied(CHANNEL, 3).await.expect("delivered");
    };
    let (acks, ()) = futures::join!(futures::future::join_all(posts), serve);
    let places: Vec<u64> = acks.into_iter().map(|ack| ack.expect("an ack").seq).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(seqs(&client), [1, 2, 3]);
    assert_eq!((client.stats().welcomes, client.stats().resent), (2, 2));
}

#[tokio::test]
async fn a_gap_is_asked_for_and_a_repetition_dropped() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[(CHANNEL, 0)]).await;
    peer.deliver(&[1, 1, 4]).await;
    let asked = peer.next().await;
    let range = v1::Range { channel: CHANNEL.to_owned(), after: 1, limit: 2 };
    assert_eq!(asked.frame, Some(Command::Range(range)));
    let page = v1::Page { channel: CHANNEL.to_owned(), events: events(&[2, 3]), tail: 4 };
    peer.say(asked.id, Answer::Page(page)).await;
    client.applied(CHANNEL, 4).await.expect("the gap is closed");
    assert_eq!(seqs(&client), [1, 2, 3, 4]);
    assert_eq!((client.stats().duplicates, client.stats().ranges), (1, 1));
}

#[tokio::test]
async fn a_refusal_with_a_delay_is_tried_again_and_one_without_is_final() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[]).await;
    let refused = |code: &str, retry_after_ms, state: &str| {
        let (code, state) = (code.to_owned(), state.to_owned());
        Answer::Refused(v1::Refused { code, retry_after_ms, state, ..Default::default() })
    };
    let serve = async {
        let (id, _) = peer.post().await;
        peer.say(id, refused("ratelimited", 1, "not_applied")).await;
        assert_eq!(peer.post().await, (id, "k1".to_owned()));
        peer.say(id, refused("internal_error", 0, "unknown")).await;
        assert_eq!(peer.post().await, (id, "k1".to_owned()));
        peer.say(id, refused("not_in_channel", 0, "not_applied")).await;
    };
    let (result, ()) = futures::join!(client.post(CHANNEL, "hi", "k1"), serve);
    assert!(matches!(&result, Err(ClientError::Refused(r)) if r.code == "not_in_channel"), "{result:?}");
    assert_eq!((client.unanswered(), client.stats().resent), (0, 2));
}

#[tokio::test]
async fn a_close_that_names_no_delay_ends_the_client_and_everybody_who_waits_is_told() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[]).await;
    let serve = async {
        peer.post().await;
        peer.close(CloseCode::Revoked.into()).await;
    };
    let (result, ()) = futures::join!(client.post(CHANNEL, "hi", "k1"), serve);
    let revoked = ClientError::Closed(CloseCode::Revoked.into());
    assert_eq!(result, Err(revoked.clone()));
    assert_eq!(client.ended().await, revoked);
    assert_eq!(client.post(CHANNEL, "hi", "k2").await, Err(revoked));
}

#[tokio::test]
async fn after_a_go_away_it_connects_where_it_was_told() {
    let (listener, options) = stage().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("ws://{}/connect", elsewhere.local_addr().expect("an address"));
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[(CHANNEL, 7)]).await;
    let away = v1::GoAway { reason: "drain".to_owned(), delay_ms: 1, address };
    peer.say(0, Answer::GoAway(away)).await;
    let mut peer = Peer::accept(&elsewhere).await;
    assert_eq!(peer.welcome(&[]).await, [(CHANNEL.to_owned(), 7)]);
    client.notices(2, |notice| matches!(notice, Answer::Welcome(_))).await.expect("two welcomes");
    assert_eq!(client.stats().go_aways, 1);
}

#[tokio::test]
async fn a_cut_by_the_client_itself_looks_to_the_server_like_a_lost_network() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[]).await;
    client.notices(1, |notice| matches!(notice, Answer::Welcome(_))).await.expect("a welcome");
    client.cut();
    assert!(peer.socket.next().await.is_none_or(|message| message.is_err()), "no close frame");
    Peer::accept(&listener).await.welcome(&[]).await;
}

#[tokio::test]
async fn the_client_ends_with_its_last_handle() {
    let (listener, options) = stage().await;
    let client = Client::start(options);
    let clone = client.clone();
    let mut peer = Peer::accept(&listener).await;
    peer.welcome(&[]).await;
    drop(client);
    let (pong, ()) = futures::join!(clone.ping("still here"), async {
        let frame = peer.next().await;
        peer.say(frame.id, Answer::Pong(v1::Pong { note: "still here".to_owned() })).await;
    });
    assert_eq!(pong.as_deref(), Ok("still here"));
    drop(clone);
    assert!(peer.socket.next().await.is_none_or(|message| message.is_err()));
}
