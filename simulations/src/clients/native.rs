//! A client of the native protocol (`/connect`): it posts, keeps cursors and unanswered posts, and after every cut
//! comes back with both.

use crate::{
    clients::{PATIENCE, PORT, Person, RECONNECT},
    world::{report::Violation, stream::SimStream},
};
use futures::{SinkExt, StreamExt};
use proto::{
    frame::{self, WireForm},
    v1::{
        ClientFrame, Content, Cursor, Hello, Post, Refused, ServerFrame, client_frame::Frame as Ask,
        server_frame::Frame as Say,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

/// Silence after which the server is given up: three of its ping intervals.
const SILENCE: Duration = Duration::from_secs(30);
/// Posts that wait for their ack; the server allows more.
const IN_FLIGHT_MAX: usize = 8;

type Socket = WebSocketStream<SimStream>;

/// A post without its answer.
struct Open {
    post: Post,
    /// When to send it (again) over the present connection; `None`: it is on its way.
    due: Option<Duration>,
}

/// The client.
pub struct Native {
    person: Person,
    form: WireForm,
    open: BTreeMap<u64, Open>,
    asked: u64,
    next_post: Duration,
}

impl Native {
    /// A client that has not connected yet.
    pub fn new(person: Person, form: WireForm) -> Self {
        let next_post = person.host.monotonic() + person.pause();
        Self { person, form, open: BTreeMap::new(), asked: 0, next_post }
    }

    /// Lives for ever.
    pub async fn run(mut self) {
        loop {
            if let Some(socket) = self.connect().await {
                self.live(socket).await;
                self.person.world.count("client.cuts", 1);
            }
            self.person.host.sleep(RECONNECT).await;
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let Person { world, host, me, server, token, .. } = &self.person;
        let stream = world.connect(*me, *server, PORT).await.ok()?;
        let mut request = "ws://waggle/connect".into_client_request().ok()?;
        let (subprotocol, _) = frame::SUBPROTOCOLS.into_iter().find(|(_, form)| *form == self.form)?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).ok()?);
        let (socket, _) = host.timeout(PATIENCE, client_async(request, stream)).await.ok()?.ok()?;
        Some(socket)
    }

    /// One connection, from hello to its end.
    async fn live(&mut self, mut socket: Socket) {
        let cursors = self.person.oracle.cursors(&self.person.name);
        let cursors = cursors.into_iter().map(|(channel, seq)| Cursor { channel, seq }).collect();
        let client = self.person.name.clone();
        let hello = Hello { token: self.person.token.clone(), cursors, client, manual: false };
        if self.say(&mut socket, 0, Ask::Hello(hello)).await.is_none() {
            return;
        }
        let mut welcome = false;
        let mut heard = self.person.host.monotonic();
        loop {
            let now = self.person.host.monotonic();
            if now - heard >= SILENCE || (welcome && self.send_due(&mut socket, now).await.is_none()) {
                return;
            }
            let wait = if welcome { self.until_due(now) } else { SILENCE };
            let wait = wait.min(heard + SILENCE - now);
            let Ok(next) = self.person.host.timeout(wait, socket.next()).await else { continue };
            let Some(Ok(message)) = next else { return };
            heard = self.person.host.monotonic();
            let payload = match &message {
                Message::Text(text) => text.as_bytes(),
                Message::Binary(bytes) => &bytes[..],
                Message::Close(_) => return,
                _ => continue,
            };
            match frame::decode_server(payload, self.form) {
                Ok(frame) => self.hear(frame, &mut welcome),
                Err(error) => {
                    let detail = format!("{} was sent {error}", self.person.name);
                    return self.person.world.violate(Violation::new("frames parse", detail));
                }
            }
        }
    }

    /// Time until the next post is due, or an open one is to be sent again.
    fn until_due(&self, now: Duration) -> Duration {
        let again = self.open.values().filter_map(|open| open.due).min();
        let fresh = (self.open.len() < IN_FLIGHT_MAX && !self.person.is_quiet()).then_some(self.next_post);
        again.into_iter().chain(fresh).min().map_or(SILENCE, |at| at.saturating_sub(now))
    }

    async fn send_due(&mut self, socket: &mut Socket, now: Duration) -> Option<()> {
        if now >= self.next_post && self.open.len() < IN_FLIGHT_MAX && !self.person.is_quiet() {
            self.compose(now);
        }
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| open.due.is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let open = self.open.get_mut(&id)?;
            open.due = None;
            let post = open.post.clone();
            self.say(socket, id, Ask::Post(post)).await?;
        }
        Some(())
    }

    fn compose(&mut self, now: Duration) {
        let (channel, key, text) = (self.person.somewhere(), self.person.key(), self.person.text());
        self.person.oracle.sent(&self.person.user, &channel, &key);
        self.asked += 1;
        let content = Some(Content { text, ..Content::default() });
        let post = Post { channel, key, content, thread_us: 0, reply_broadcast: false };
        self.open.insert(self.asked, Open { post, due: Some(now) });
        self.next_post = now + self.person.pause();
    }

    async fn say(&self, socket: &mut Socket, id: u64, ask: Ask) -> Option<()> {
        let payload = frame::encode_client(&ClientFrame { id, frame: Some(ask) }, self.form);
        let message = match self.form {
            WireForm::Proto => Message::binary(payload),
            _ => Message::text(String::from_utf8(payload).ok()?),
        };
        self.person.host.timeout(PATIENCE, socket.send(message)).await.ok()?.ok()
    }

    fn hear(&mut self, frame: ServerFrame, welcome: &mut bool) {
        let Person { oracle, name, world, .. } = &self.person;
        match frame.frame {
            Some(Say::Welcome(said)) => {
                *welcome = true;
                let now = self.person.host.monotonic();
                // What was on its way over an earlier connection goes again under its key.
                self.open.values_mut().for_each(|open| open.due = Some(now));
                for cursor in said.following {
                    self.person.judge(oracle.follows(name, &cursor.channel, cursor.seq));
                }
            }
            Some(Say::Following(said)) => {
                for cursor in said.tails {
                    self.person.judge(oracle.follows(name, &cursor.channel, cursor.seq));
                }
            }
            Some(Say::Ack(ack)) => {
                if let Some(open) = self.open.remove(&frame.re) {
                    world.count("messages", 1);
                    world.note(Some(self.person.me), "acked", [ack.seq, ack.us], &open.post.key);
                    self.person.judge(oracle.acked(&open.post.key, &ack));
                }
            }
            Some(Say::Refused(refused)) => self.refused(frame.re, &refused),
            Some(Say::Deliver(deliver)) => {
                world.count("deliveries", deliver.events.len() as u64);
                for event in &deliver.events {
                    self.person.judge(oracle.shown(name, &deliver.channel, event));
                }
            }
            Some(Say::Lagging(_)) => world.count("client.lagged", 1),
            Some(Say::SkipTo(skip)) => {
                let detail = format!("{name} was sent to {} of {}", skip.seq, skip.channel);
                world.violate(Violation::new("nothing is skipped that is kept", detail));
            }
            _ => {}
        }
    }

    /// A refusal with a delay is tried again under the same key; any other one is no day this world knows.
    fn refused(&mut self, re: u64, refused: &Refused) {
        self.person.world.count("client.refused", 1);
        self.person.world.note(Some(self.person.me), "refused", [re, 0], &refused.code);
        let again = refused.retry_after_ms > 0 || refused.state == "unknown";
        match self.open.get_mut(&re) {
            Some(open) if again => {
                let delay = Duration::from_millis(u64::from(refused.retry_after_ms).max(1000));
                open.due = Some(self.person.host.monotonic() + delay);
            }
            _ => {
                let detail = format!("{} was refused: {refused:?}", self.person.name);
                self.person.world.violate(Violation::new("good posts are not refused", detail));
            }
        }
    }
}
