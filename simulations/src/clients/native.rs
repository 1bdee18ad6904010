//! A device on the native protocol (`/connect`): it does its deeds, keeps cursors and unanswered commands, and after
//! every cut comes back with both.

mod asks;

use crate::{
    clients::{
        PATIENCE, Person, RECONNECT, Refusal, Socket, Verdict,
        ear::{Ear, Heard, SILENCE},
        knows::Knows,
    },
    plan::Do,
    promises::{deleted_is_gone, in_order, one_place, revoked, sense},
};
use futures::SinkExt;
use proto::{
    frame::{self, WireForm},
    v1::{
        ClientFrame, Content, Cursor, Follow, Hello, Ping, Post, Refused, ServerFrame, Typing, Unfollow,
        client_frame::Frame as Ask, server_frame::Frame as Say,
    },
};
use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};
use tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

/// Commands that wait for their answer before another deed is begun.
const IN_FLIGHT_MAX: usize = 8;
/// Acknowledged commands that a device remembers, to send one of them again.
pub const AGAIN_BACK_MAX: usize = 40;

/// A command without its answer.
struct Waiting {
    ask: Ask,
    key: String,
    kind: &'static str,
    channel: String,
    /// A message that hangs on no other one.
    plain: bool,
    /// When to send it (again) over the present connection; `None`: it is on its way.
    due: Option<Duration>,
    tries: u32,
    /// World time of the last try.
    asked: Duration,
}

/// A command that was acknowledged: what, its key, its kind and its channel.
type Acked = (Ask, String, &'static str, String);

/// The device.
pub struct Native {
    person: Person,
    form: WireForm,
    knows: Knows,
    open: BTreeMap<u64, Waiting>,
    asked: u64,
    /// The last acknowledged commands, newest first.
    acked: VecDeque<Acked>,
    /// The token of this connection.
    token: String,
    /// World time at which this connection said hello.
    opened: Duration,
    hang_up: bool,
    welcome: bool,
    /// Channels that are not followed, by the ping whose answer comes behind all that was still on its way, and then by
    /// the frame that asks to go on.
    paused: BTreeMap<u64, String>,
    /// Channels to follow again.
    resumes: Vec<String>,
}

impl Native {
    /// A device that has not connected yet.
    pub fn new(person: Person, form: WireForm) -> Self {
        Self {
            person,
            form,
            knows: Knows::default(),
            open: BTreeMap::new(),
            asked: 0,
            acked: VecDeque::new(),
            token: String::new(),
            opened: Duration::ZERO,
            hang_up: false,
            welcome: false,
            paused: BTreeMap::new(),
            resumes: Vec::new(),
        }
    }

    /// Lives for ever.
    pub async fn run(mut self) {
        loop {
            let token = self.person.token();
            if !self.token.is_empty() && self.token != token {
                self.knock().await;
            }
            self.token = token;
            if let Some(socket) = self.connect().await {
                self.live(socket).await;
                self.person.world.count("client.cuts", 1);
                self.person.world.tell(|| format!("{} loses its connection", self.person.who()));
            }
            self.person.host.sleep(RECONNECT).await;
        }
    }

    /// Tries the token once more that it had before.
    async fn knock(&self) -> Option<Infallible> {
        let (revoked, asked) = (self.person.revoked_since(&self.token)?, self.person.world.now());
        let mut socket = self.connect().await?;
        let hello = Hello { token: self.token.clone(), ..Hello::default() };
        self.say(&mut socket, 0, Ask::Hello(hello)).await?;
        let mut ear = Ear::new(&self.person);
        loop {
            let heard = ear.listen(&self.person, &mut socket, SILENCE).await;
            let Heard::Message(message) = heard else { return None };
            if let Ok(ServerFrame { frame: Some(Say::Welcome(_)), .. }) =
                frame::decode_server(&message.into_data(), self.form)
            {
                self.person.judge(revoked::opened(self.person.number, revoked, asked));
            }
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let stream = self.person.connect().await?;
        let mut request = "ws://waggle/connect".into_client_request().ok()?;
        let (subprotocol, _) = frame::SUBPROTOCOLS.into_iter().find(|(_, form)| *form == self.form)?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
        let bearer = format!("Bearer {}", self.token);
        headers.insert("authorization", HeaderValue::from_str(&bearer).ok()?);
        self.person.upgrade(request, stream).await
    }

    /// One connection, from hello to its end.
    async fn live(&mut self, mut socket: Socket) {
        let prefix = format!("{}/", self.person.workspace);
        let cursors = self.person.oracle.cursors(self.person.number);
        let cursors = cursors
            .into_iter()
            .filter_map(|(name, seq)| Some(Cursor { channel: name.strip_prefix(&prefix)?.to_owned(), seq }))
            .collect();
        let (token, client) = (self.token.clone(), format!("device {}", self.person.number));
        let hello = Hello { token, cursors, client, manual: false };
        (self.welcome, self.hang_up, self.opened) = (false, false, self.person.world.now());
        self.paused.clear();
        self.resumes.clear();
        if self.say(&mut socket, 0, Ask::Hello(hello)).await.is_none() {
            return;
        }
        let mut ear = Ear::new(&self.person);
        loop {
            if self.welcome && (self.act(&mut socket).await.is_none() || self.hang_up) {
                return;
            }
            let now = self.person.host.monotonic();
            let wait = if self.welcome { self.until_due(now) } else { SILENCE };
            let message = match ear.listen(&self.person, &mut socket, wait).await {
                Heard::Message(message) => message,
                Heard::Nothing => continue,
                Heard::Over => return,
            };
            let payload = match &message {
                Message::Text(text) => text.as_bytes(),
                Message::Binary(bytes) => &bytes[..],
                _ => continue,
            };
            self.person.hears(payload);
            match sense::native(&self.person.who(), payload, self.form) {
                Ok(frame) => self.hear(frame),
                Err(violation) => return self.person.world.violate(violation),
            }
        }
    }

    /// Time until the next deed is due, or an open command is to be sent again.
    fn until_due(&self, now: Duration) -> Duration {
        let again = self.open.values().filter_map(|open| open.due).min().map(|at| at.saturating_sub(now));
        let fresh = (self.open.len() < IN_FLIGHT_MAX).then(|| self.person.until_next()).flatten();
        again.into_iter().chain(fresh).min().unwrap_or(SILENCE)
    }

    /// Begins what is due and sends what is to be sent. `None`: the connection is over.
    async fn act(&mut self, socket: &mut Socket) -> Option<()> {
        self.person.busy.store(self.open.len(), Relaxed);
        while self.open.len() < IN_FLIGHT_MAX
            && let Some(deed) = self.person.next_deed()
        {
            self.person.world.count_deed(deed.what.name());
            self.begin(deed.what, socket).await?;
        }
        while let Some(channel) = self.resumes.pop() {
            let at = self.person.oracle.cursor(self.person.number, &self.person.name_of(&channel));
            let cursors = at.map(|seq| Cursor { channel: channel.clone(), seq }).into_iter().collect();
            self.asked += 1;
            self.paused.insert(self.asked, channel);
            self.say(socket, self.asked, Ask::Follow(Follow { cursors })).await?;
        }
        let now = self.person.host.monotonic();
        let due = self.open.iter().filter(|(_, open)| open.due.is_some_and(|due| due <= now));
        let due: Vec<u64> = due.map(|(id, _)| *id).collect();
        for id in due {
            let open = self.open.get_mut(&id)?;
            (open.due, open.asked) = (None, self.person.world.now());
            self.person.busy.fetch_max(1, Relaxed);
            open.tries += 1;
            let ask = open.ask.clone();
            self.person.world.count("commands", 1);
            self.say(socket, id, ask).await?;
        }
        Some(())
    }

    async fn begin(&mut self, what: Do, socket: &mut Socket) -> Option<()> {
        match what {
            Do::Reconnect => self.hang_up = true,
            Do::Nonsense { kind } => self.nonsense(kind, socket).await?,
            Do::Typing { channel } => {
                let channel = self.person.channel(channel)?;
                self.person.types(&channel);
                self.say(socket, 0, Ask::Typing(Typing { channel })).await?;
            }
            Do::Pause { channel } => {
                let channel = self.person.channel(channel)?;
                let unfollow = Unfollow { channels: vec![channel.clone()] };
                self.say(socket, 0, Ask::Unfollow(unfollow)).await?;
                self.asked += 1;
                self.paused.insert(self.asked, channel);
                self.say(socket, self.asked, Ask::Ping(Ping { note: String::new() })).await?;
            }
            Do::Flood { channel, count } => {
                for _ in 0..count {
                    self.post(channel, 6, None, false, None);
                }
            }
            Do::Again { changed, back } => self.again(changed, back),
            Do::Post { channel, words, thread, broadcast, mention } => {
                let name = self.person.channel(channel)?;
                let thread = thread.and_then(|back| self.knows.any(&name, back));
                self.post(channel, words, thread, broadcast, mention);
            }
            other => {
                if let Some(asks::Asked { ask, kind, channel, deletes }) =
                    asks::of(&self.person, &self.knows, &other)
                {
                    self.command(ask, kind, channel, deletes);
                }
            }
        }
        Some(())
    }

    fn post(
        &mut self,
        channel: usize,
        words: usize,
        thread: Option<u64>,
        broadcast: bool,
        mention: Option<usize>,
    ) {
        let Some(channel) = self.person.channel(channel) else { return };
        let text = self.person.text(words, mention);
        let content = Some(Content { text, ..Content::default() });
        let thread_us = thread.unwrap_or(0);
        let reply_broadcast = broadcast && thread_us > 0;
        let post = Post { channel: channel.clone(), key: String::new(), content, thread_us, reply_broadcast };
        self.command(Ask::Post(post), "post", channel, None);
    }

    /// Takes a command into the list of those that want an answer.
    fn command(&mut self, mut ask: Ask, kind: &'static str, channel: String, deletes: Option<u64>) {
        let key = self.person.key();
        let text = asks::sign(&mut ask, &key);
        if !matches!(ask, Ask::Range(_) | Ask::Open(_) | Ask::Mark(_)) {
            self.person.sends(&key, kind, &channel, text.as_deref(), deletes);
        }
        let plain = matches!(&ask, Ask::Post(post) if post.thread_us == 0);
        self.asked += 1;
        let (due, asked) = (Some(self.person.host.monotonic()), self.person.world.now());
        self.open.insert(self.asked, Waiting { ask, key, kind, channel, plain, due, tries: 0, asked });
    }

    /// Sends once more what was acknowledged so many commands ago.
    fn again(&mut self, changed: bool, back: usize) {
        let oldest = self.acked.len().saturating_sub(1);
        let Some((mut ask, key, kind, channel)) = self.acked.get(back.min(oldest)).cloned() else { return };
        if changed {
            let Ask::Post(post) = &mut ask else { return };
            post.content = Some(Content { text: self.person.text(3, None), ..Content::default() });
        }
        self.asked += 1;
        let (due, asked) = (Some(self.person.host.monotonic()), self.person.world.now());
        let kind = if changed { "changed retry" } else { kind };
        self.open.insert(self.asked, Waiting { ask, key, kind, channel, plain: false, due, tries: 0, asked });
    }

    async fn nonsense(&mut self, kind: usize, socket: &mut Socket) -> Option<()> {
        self.person.world.count("nonsense", 1);
        if let 4.. = kind {
            // A key that is none, and one of 1970.
            let key = if kind == 4 { "not a key" } else { "00000000-0001-7000-8000-000000000001" };
            let channel = self.person.channel(0)?;
            let content = Some(Content { text: self.person.text(2, None), ..Content::default() });
            let post = Post { channel, key: key.to_owned(), content, ..Post::default() };
            self.asked += 1;
            return self.say(socket, self.asked, Ask::Post(post)).await;
        }
        let bytes = match kind {
            0 => vec![0xff; 40],
            1 => b"{\"id\":\"1\",\"post\":null".to_vec(),
            2 => Vec::new(),
            _ => vec![b'x'; 300_000],
        };
        self.person.host.timeout(PATIENCE, socket.send(Message::binary(bytes))).await.ok()?.ok()
    }

    async fn say(&self, socket: &mut Socket, id: u64, ask: Ask) -> Option<()> {
        let payload = frame::encode_client(&ClientFrame { id, frame: Some(ask) }, self.form);
        let message = match self.form {
            WireForm::Proto => Message::binary(payload),
            _ => Message::text(String::from_utf8(payload).ok()?),
        };
        self.person.host.timeout(PATIENCE, socket.send(message)).await.ok()?.ok()
    }

    fn hear(&mut self, frame: ServerFrame) {
        let (oracle, number) = (self.person.oracle.clone(), self.person.number);
        match frame.frame {
            Some(Say::Welcome(said)) => {
                self.welcome = true;
                self.person.world.tell(|| format!("{} is connected", self.person.who()));
                let now = self.person.host.monotonic();
                // What was on its way over an earlier connection goes again under its key.
                self.open.values_mut().for_each(|open| open.due = Some(now));
                for cursor in said.following {
                    let name = self.person.name_of(&cursor.channel);
                    self.person.judge(oracle.follows(number, &name, cursor.seq));
                }
            }
            Some(Say::Ack(ack)) => self.acked(frame.re, &ack),
            Some(Say::Refused(refused)) => self.refused(frame.re, &refused),
            Some(Say::Deliver(deliver)) => {
                self.person.world.count("deliveries", deliver.events.len() as u64);
                let name = self.person.name_of(&deliver.channel);
                let asked = self.opened.saturating_sub(self.person.stale_max);
                self.person.judge(deleted_is_gone::events(&oracle.book(), &name, asked, &deliver.events));
                for event in &deliver.events {
                    self.person.judge(oracle.shown(number, &name, event));
                    self.knows.saw(&deliver.channel, event);
                    if let Some(revoked) = self.person.revoked_since(&self.token) {
                        let said =
                            oracle.book().commands.get(&event.key).map_or(revoked, |command| command.sent);
                        self.person.judge(revoked::shown(number, revoked, said));
                    }
                }
            }
            Some(Say::Page(page)) => {
                if let Some(open) = self.open.remove(&frame.re) {
                    self.person.world.count("pages", 1);
                    let name = self.person.name_of(&page.channel);
                    // Under rule F6 a replaced owner may answer for as long as its claim counts as confirmed.
                    let asked = open.asked.saturating_sub(self.person.stale_max);
                    self.person.judge(oracle.page(number, &name, asked, &page));
                }
            }
            Some(Say::Typed(typed)) => self.person.hears_typing(&typed.channel, &typed.user),
            Some(Say::Pong(_)) => {
                // It has paused once more meanwhile: until that is answered too, it does not know where it stands.
                let channel = self.paused.remove(&frame.re);
                self.resumes
                    .extend(channel.filter(|channel| !self.paused.values().any(|paused| paused == channel)));
            }
            Some(Say::Following(following)) => {
                self.paused.remove(&frame.re);
                for cursor in following.tails {
                    let name = self.person.name_of(&cursor.channel);
                    self.person.judge(oracle.follows(number, &name, cursor.seq));
                }
            }
            Some(Say::Lagging(_)) => self.person.world.count("client.lagged", 1),
            Some(Say::GoAway(_)) => self.hang_up = true,
            Some(Say::SkipTo(skip)) => {
                let detail = format!("{} was sent to {} of {}", self.person.who(), skip.seq, skip.channel);
                self.person.world.violate(in_order::PROMISE.broken(detail));
            }
            _ => {}
        }
    }

    fn acked(&mut self, re: u64, ack: &proto::v1::Ack) {
        let Some(open) = self.open.remove(&re) else { return };
        match (&open.ask, open.kind) {
            (Ask::Open(_), _) => {
                self.person.world.count("messages", 1);
                // They say hello at once.
                if !self.person.channels.contains(&ack.channel) {
                    self.person.channels.push(ack.channel.clone());
                }
                return;
            }
            (Ask::Mark(_), _) => return self.person.world.count("messages", 1),
            (_, "changed retry") => {
                let detail = format!("{} used a key again for other words, and was acknowledged", open.key);
                return self.person.world.violate(one_place::PROMISE.broken(detail));
            }
            (Ask::Post(_), _) => self.knows.wrote(&open.channel, ack.us),
            _ => {}
        }
        self.person.acked(&open.key, ack.us, (ack.seq > 0).then_some(ack.seq));
        self.acked.truncate(AGAIN_BACK_MAX - 1);
        self.acked.push_front((open.ask, open.key, open.kind, open.channel));
    }

    fn refused(&mut self, re: u64, refused: &Refused) {
        let Some(open) = self.open.get_mut(&re) else {
            // Of nonsense; or it may not go on now, and comes again.
            self.hang_up |= self.paused.remove(&re).is_some();
            return self.person.world.count_refusal(&refused.code);
        };
        let again =
            (refused.retry_after_ms > 0).then(|| Duration::from_millis(u64::from(refused.retry_after_ms)));
        let refusal = Refusal { code: &refused.code, unknown: refused.state == "unknown", again };
        let about = (open.kind, open.channel.as_str(), open.plain);
        if matches!(open.ask, Ask::Range(_) | Ask::Mark(_) | Ask::Open(_)) || open.kind == "changed retry" {
            // Nobody waits for these.
            self.person.world.count_refusal(&refused.code);
            self.open.remove(&re);
            return;
        }
        match self.person.refused(&open.key, &refusal, open.tries == 1, about) {
            Verdict::Again(delay) => open.due = Some(self.person.host.monotonic() + delay),
            Verdict::Over => drop(self.open.remove(&re)),
        }
    }
}
