//! A node without sockets: the production machine, the reference store, clients at the ends of channels.

use actors::channel::load;
use actors::channel::replay::NO_EVENTS;
use actors::command::{Command, Done, Reply, Verb};
use actors::config::Config;
use actors::context::Context;
use actors::node::Node;
use actors::opening::{self, Plan};
use actors::scopes::Scopes;
use actors::session::{self, FrameSocket, Incoming, SocketError};
use actors::shard::GoAway;
use actors::store::memory::MemoryStore;
use actors::store::{LogId, Store};
use actors::tickets::Login;
use bytes::Bytes;
use cells::machine::{Machine, Threads};
use cluster::claims::Claims;
use cluster::host::Host;
use cluster::node::{BootId, CellId, Node as Me, NodeId};
use proto::frame::{self, WireForm};
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::refusal::Refusal;
use proto::v1::client_frame::Frame as Ask;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{ClientFrame, Content, ConversationKind, Cursor, Event, Hello, SkipTo, Typed};
use simulations::world::through::{Hook, Through};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tests::harness::step;
use tokio::sync::{mpsc, watch};

/// The longest that any answer may take; a test that waits longer has found a lost message.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) context: Context,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) claims: Arc<dyn Claims>,
    pub(crate) workspace: WorkspaceId,
    node: Node,
}

pub(crate) fn text_of(event: &Event) -> Option<String> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.as_ref().map(|content| content.text.clone()),
        _ => None,
    }
}

/// A post of this text.
pub(crate) fn says(text: &str) -> Verb {
    Verb::Post {
        content: Content { text: text.into(), ..Content::default() },
        thread_us: 0,
        reply_broadcast: false,
        client_msg_id: String::new(),
    }
}

pub(crate) fn user_id(name: &str) -> UserId {
    UserId::parse(&format!("U{:0>10}", name.to_uppercase())).unwrap()
}

impl Rig {
    /// Over the reference store, with limits that no test meets by accident.
    pub(crate) fn run(test: impl AsyncFnOnce(&Rig)) {
        Self::run_with(Self::config(), test);
    }

    /// With these limits.
    pub(crate) fn run_with(config: Config, test: impl AsyncFnOnce(&Rig)) {
        Self::run_on(config, |_| MemoryStore::new(), test);
    }

    pub(crate) fn config() -> Config {
        Config { rate_per_s: 1_000_000, rate_burst: 1_000_000, ..Config::default() }
    }

    /// Over the reference store, with somebody in front of it.
    pub(crate) fn run_behind(config: Config, hook: &impl Hook, test: impl AsyncFnOnce(&Rig)) {
        Self::run_on(config, |_| Through::new(MemoryStore::new(), hook.clone()), test);
    }

    /// Over any store that keeps the claims too.
    pub(crate) fn run_on<S: Store + Claims>(
        config: Config,
        open: impl FnOnce(&Host) -> S,
        test: impl AsyncFnOnce(&Rig),
    ) {
        let machine = Machine::start(Threads::default()).unwrap();
        let host = machine.host();
        machine.block_on(async {
            let store = Arc::new(open(&host));
            let me =
                Me { id: NodeId::parse("n1").unwrap(), boot: BootId(1), cell: CellId::parse("a").unwrap() };
            let node = Node::start(host, store.clone(), store.clone(), config, me).await.unwrap();
            let workspace = WorkspaceId::parse("T0000000001").unwrap();
            let context = node.context.clone();
            let rig = Rig { context, claims: store.clone(), store, node, workspace };
            rig.found(&rig.workspace, &["ann", "bob"]).await;
            test(&rig).await;
        });
    }

    /// Makes a workspace, or adds users to it.
    pub(crate) async fn found(&self, workspace: &WorkspaceId, users: &[&str]) {
        let log = Context::workspace(workspace);
        let make = Verb::CreateWorkspace { name: "Test".into(), domain: "test".into() };
        self.context.execute(log.clone(), Command::system("make", make)).await.unwrap();
        for name in users {
            let verb = Verb::AddUser {
                user: user_id(name),
                name: (*name).into(),
                real_name: String::new(),
                email: String::new(),
                bot_id: String::new(),
                admin: false,
            };
            let add = Command::system(format!("add-{name}"), verb);
            self.context.execute(log.clone(), add).await.unwrap();
        }
    }

    pub(crate) async fn stranger(&self) -> (WorkspaceId, UserId) {
        let other = WorkspaceId::parse("T0000000002").unwrap();
        self.found(&other, &["eve"]).await;
        (other, user_id("eve"))
    }

    pub(crate) async fn channel(&self, name: &str, members: &[&str]) -> String {
        let channel = ConversationId::parse(&self.context.mint('C')).unwrap();
        let plan = Plan {
            channel: channel.clone(),
            name: name.into(),
            kind: ConversationKind::Public,
            members: members.iter().map(|name| user_id(name)).collect(),
        };
        opening::open(&self.context, &self.workspace, None, plan).await.unwrap();
        channel.to_string()
    }

    pub(crate) fn log(&self, channel: &str) -> LogId {
        LogId::new(self.workspace.clone(), ChannelId::parse(channel).unwrap())
    }

    /// Makes a channel's actor panic in the middle of a turn, as a defect would: the answer to a command that it has to
    /// refuse does.
    pub(crate) fn panic(&self, channel: &str) {
        // A key that is refused as it comes: an answer that rests on the log waits for what is under way.
        let malformed = Command::by(&user_id("nobody"), says("")).keyed("no key");
        self.context.router.submit(&self.log(channel), malformed, Box::new(Bomb));
    }

    /// A channel's messages are taken in turn: whatever was to be answered at once has been when this is over.
    pub(crate) async fn all_taken(&self, channel: &str) {
        self.context.router.read(&self.log(channel), NO_EVENTS, 1).await.unwrap();
    }

    /// Where a channel's log ends in the store.
    pub(crate) async fn tail(&self, channel: &str) -> u64 {
        load::tail(&*self.store, &self.log(channel)).await.unwrap()
    }

    /// Waits for what other tasks are about to do; fails when they do not.
    pub(crate) async fn until(&self, what: &str, mut is: impl AsyncFnMut() -> bool) {
        let looks = async {
            while !is().await {
                self.context.host.sleep(Duration::from_millis(2)).await;
            }
        };
        step(what, looks).await.unwrap();
    }

    /// Asks everybody to come back later, each at a turn of its own within this long.
    pub(crate) async fn send_away(&self, window: Duration) {
        self.node.gateway.drain(&GoAway { reason: "restarting", window }).await;
    }

    /// Runs a user's command to its end.
    pub(crate) async fn does(&self, name: &str, channel: &str, verb: Verb) -> Result<Done, Refusal> {
        self.context.execute(self.log(channel), Command::by(&user_id(name), verb)).await
    }
    /// A user's post, and its place.
    pub(crate) async fn posts(&self, name: &str, channel: &str, text: &str) -> Done {
        self.does(name, channel, says(text)).await.unwrap()
    }

    pub(crate) fn login(&self, name: &str) -> Login {
        Login {
            workspace: self.workspace.clone(),
            user: user_id(name),
            token_hash: String::new(),
            bot_id: String::new(),
            app_id: String::new(),
            scopes: Scopes::Default(&[]),
        }
    }

    /// A connection that follows what its user is in.
    pub(crate) async fn connect(&self, name: &str, cursors: &[(&str, u64)]) -> Client {
        let mut client = self.welcomed(name, cursors).await;
        client.wait_for_joins(self, name).await;
        client
    }
    /// A connection that follows what its welcome says.
    pub(crate) async fn welcomed(&self, name: &str, cursors: &[(&str, u64)]) -> Client {
        let (to_server, from_client) = mpsc::channel(64);
        let (to_client, from_server) = mpsc::channel(8);
        let (reading, may_write) = watch::channel(true);
        let socket = Wire { incoming: from_client, out: to_client, may_write };
        let login = self.login(name);
        let seat = self.node.gateway.seat().unwrap();
        let host = self.context.host.clone();
        host.spawn_on(seat.shard(), "session", session::run(seat, socket, WireForm::Proto, Some(login)));
        let mut client = Client {
            to_server,
            from_server,
            reading,
            asked: 0,
            answers: BTreeMap::new(),
            events: BTreeMap::new(),
            following: Vec::new(),
            lagged: 0,
            skips: Vec::new(),
            typed: Vec::new(),
            pings: 0,
            sent_away: None,
        };
        let cursors =
            cursors.iter().map(|(channel, seq)| Cursor { channel: (*channel).into(), seq: *seq }).collect();
        let hello = Ask::Hello(Hello { cursors, ..Hello::default() });
        match client.ask(hello).await {
            Say::Welcome(welcome) => {
                client.following = welcome.following;
            }
            other => panic!("expected a welcome, got {other:?}"),
        }
        client
    }
}

/// The way back to somebody whom any answer makes panic.
pub(crate) struct Bomb;

impl Reply for Bomb {
    fn is_abandoned(&self) -> bool {
        false
    }
    fn answer(self: Box<Self>, _result: Result<Done, Refusal>) {
        panic!("asked to panic, as a defect would");
    }
}

/// The server's end of a connection.
struct Wire {
    incoming: mpsc::Receiver<Incoming>,
    out: mpsc::Sender<Bytes>,
    may_write: watch::Receiver<bool>,
}

impl FrameSocket for Wire {
    async fn next(&mut self) -> Option<Result<Incoming, SocketError>> {
        self.incoming.recv().await.map(Ok)
    }
    async fn send(&mut self, frames: &[Bytes]) -> Result<(), SocketError> {
        let gone = |_| SocketError::Io("the client is gone".into());
        for frame in frames {
            self.may_write.wait_for(|may| *may).await.map_err(|_| SocketError::Io("gone".into()))?;
            self.out.send(frame.clone()).await.map_err(gone)?;
        }
        Ok(())
    }
    async fn close(&mut self, _code: u16, _reason: &str) {
        self.incoming.close();
    }
}

/// A client at the other end.
pub(crate) struct Client {
    to_server: mpsc::Sender<Incoming>,
    from_server: mpsc::Receiver<Bytes>,
    reading: watch::Sender<bool>,
    asked: u64,
    answers: BTreeMap<u64, Say>,
    events: BTreeMap<String, VecDeque<Event>>,
    following: Vec<Cursor>,
    pub(crate) lagged: u32,
    pub(crate) skips: Vec<SkipTo>,
    pub(crate) typed: Vec<Typed>,
    pub(crate) pings: u32,
    /// Asked to come back, after so many ms.
    pub(crate) sent_away: Option<u32>,
}

impl Client {
    /// Says something without waiting for the answer; its number.
    pub(crate) async fn say(&mut self, ask: Ask) -> u64 {
        self.asked += 1;
        let frame = ClientFrame { id: self.asked, frame: Some(ask) };
        let bytes = frame::encode_client(&frame, WireForm::Proto);
        self.to_server.send(Incoming::Binary(bytes.into())).await.unwrap();
        self.asked
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Say {
        self.say(ask).await;
        self.answer().await
    }

    /// The answer to what was said last.
    pub(crate) async fn answer(&mut self) -> Say {
        self.answer_to(self.asked).await
    }

    /// The answer to what was said under this number.
    pub(crate) async fn answer_to(&mut self, number: u64) -> Say {
        loop {
            if let Some(answer) = self.answers.remove(&number) {
                return answer;
            }
            self.hear().await;
        }
    }

    /// All events of a channel up to `seq`, in the order of arrival.
    pub(crate) async fn events(&mut self, channel: &str, seq: u64) -> Vec<Event> {
        loop {
            let events = self.events.entry(channel.to_owned()).or_default();
            if events.back().is_some_and(|event| event.seq >= seq) {
                return events.iter().filter(|event| event.seq > 1).cloned().collect();
            }
            self.hear().await;
        }
    }

    /// What has come of a channel so far.
    pub(crate) fn heard(&self, channel: &str) -> Vec<Event> {
        self.events.get(channel).into_iter().flatten().cloned().collect()
    }
    /// Whether this connection began by following it.
    pub(crate) fn follows(&self, channel: &str) -> bool {
        self.began(channel).is_some()
    }
    /// Where this connection began to follow it.
    pub(crate) fn began(&self, channel: &str) -> Option<u64> {
        self.following.iter().find(|followed| followed.channel == channel).map(|followed| followed.seq)
    }

    pub(crate) fn stop_reading(&self) {
        self.reading.send(false).unwrap();
    }
    pub(crate) fn read_again(&self) {
        self.reading.send(true).unwrap();
    }

    /// Joins are follow-ups: a session follows a new conversation as soon as the user's own log says so.
    async fn wait_for_joins(&mut self, rig: &Rig, name: &str) {
        let login = (&rig.workspace, user_id(name));
        let joined = rig.store.joined(login.0, &login.1, None, 1000).await.unwrap().rows;
        for (channel, _) in joined.into_iter().filter(|(_, row)| !row.left) {
            let channel = channel.to_string();
            if rig.store.member(&rig.log(&channel), &login.1).await.unwrap().is_none() {
                continue;
            }
            while !self.follows(&channel) && !self.events.contains_key(&channel) {
                self.hear().await;
            }
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a test gives up after real time")]
    pub(crate) async fn hear(&mut self) {
        let host = tokio::time::timeout(PATIENCE, self.from_server.recv());
        let bytes = host.await.expect("nothing came for a minute").expect("the server closed");
        if bytes[0] == PING {
            self.pings += 1;
            // Who is gone needs no answer.
            let _ = self.to_server.send(Incoming::Pong).await;
        }
        let Some(payload) = payload(&bytes) else { return };
        let server = frame::decode_server(payload, WireForm::Proto).unwrap();
        match server.frame {
            Some(Say::Deliver(deliver)) => {
                self.events.entry(deliver.channel).or_default().extend(deliver.events);
            }
            Some(Say::Lagging(_)) => self.lagged += 1,
            Some(Say::SkipTo(skip)) => self.skips.push(skip),
            Some(Say::Typed(typed)) => self.typed.push(typed),
            Some(Say::GoAway(away)) => self.sent_away = Some(away.delay_ms),
            Some(answer) if server.re != 0 => _ = self.answers.insert(server.re, answer),
            _ => {}
        }
    }
}

/// First byte of a ping.
const PING: u8 = 0x89;

/// The payload of a binary frame (RFC 6455, 5.2, unmasked); `None` for control frames.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    match frame {
        [0x82, 126, _, _, rest @ ..] => Some(rest),
        [0x82, 127, rest @ ..] => rest.get(8..),
        [0x82, _, rest @ ..] => Some(rest),
        _ => None,
    }
}
