//! A node without sockets: the production machine, the reference store, clients at the ends of channels.

use actors::command::{Command, Verb};
use actors::context::Context;
use actors::node::Node;
use actors::opening::{self, Plan};
use actors::session::{self, FrameSocket, Incoming, SocketError};
use actors::store::memory::MemoryStore;
use actors::store::{LogId, Store};
use actors::tickets::Login;
use bytes::Bytes;
use cells::machine::{Machine, Threads};
use cluster::node::{BootId, CellId, Node as Me, NodeId};
use proto::frame::{self, WireForm};
use proto::id::{ChannelId, ConversationId, UserId, WorkspaceId};
use proto::v1::client_frame::Frame as Ask;
use proto::v1::event::Body;
use proto::v1::server_frame::Frame as Say;
use proto::v1::{ClientFrame, ConversationKind, Cursor, Event, Hello};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The longest that any answer may take; a test that waits longer has found a lost message.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Rig {
    pub(super) context: Context,
    pub(super) store: Arc<dyn Store>,
    node: Node,
    workspace: WorkspaceId,
}

pub(super) fn text_of(event: &Event) -> Option<String> {
    match &event.body {
        Some(Body::Posted(posted)) => posted.content.as_ref().map(|content| content.text.clone()),
        _ => None,
    }
}

fn user_id(name: &str) -> UserId {
    UserId::parse(&format!("U{:0>10}", name.to_uppercase())).unwrap()
}

impl Rig {
    pub(super) fn run(test: impl AsyncFnOnce(&Rig)) {
        let machine = Machine::start(Threads::default()).unwrap();
        let host = machine.host();
        machine.block_on(async {
            let memory = Arc::new(MemoryStore::new());
            let me = Me {
                id: NodeId::parse("n1").unwrap(),
                boot: BootId(1),
                cell: CellId::parse("a").unwrap(),
            };
            let config = actors::config::Config {
                rate_per_s: 1_000_000,
                rate_burst: 1_000_000,
                ..Default::default()
            };
            let node = Node::start(host, memory.clone(), memory.clone(), config, me).await.unwrap();
            let workspace = WorkspaceId::parse("T0000000001").unwrap();
            let context = node.context.clone();
            let rig = Rig { context, store: memory, node, workspace };
            rig.found(&rig.workspace, &["ann", "bob"]).await;
            test(&rig).await;
        });
    }

    async fn found(&self, workspace: &WorkspaceId, users: &[&str]) {
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
            self.context.execute(log.clone(), Command::system(format!("add {name}").replace(' ', "-"), verb)).await.unwrap();
        }
    }

    pub(super) async fn stranger(&self) -> (WorkspaceId, UserId) {
        let other = WorkspaceId::parse("T0000000002").unwrap();
        self.found(&other, &["eve"]).await;
        (other, user_id("eve"))
    }

    pub(super) async fn channel(&self, name: &str, members: &[&str]) -> String {
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

    pub(super) fn log(&self, channel: &str) -> LogId {
        LogId::new(self.workspace.clone(), ChannelId::parse(channel).unwrap())
    }

    pub(super) fn panic(&self, channel: &str) {
        self.context.router.panic(&self.log(channel));
    }

    pub(super) async fn connect(&self, name: &str, cursors: &[(&str, u64)]) -> Client {
        let (to_server, from_client) = mpsc::channel(64);
        let (to_client, from_server) = mpsc::channel(8);
        let (reading, may_write) = watch::channel(true);
        let socket = Wire { incoming: from_client, out: to_client, may_write };
        let login = Login {
            workspace: self.workspace.clone(),
            user: user_id(name),
            token_hash: String::new(),
            bot_id: String::new(),
            app_id: String::new(),
            scopes: Vec::new(),
        };
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
        };
        let cursors =
            cursors.iter().map(|(channel, seq)| Cursor { channel: (*channel).into(), seq: *seq }).collect();
        let hello = Ask::Hello(Hello { cursors, ..Hello::default() });
        match client.ask(hello).await {
            Say::Welcome(welcome) => {
                client.following = welcome.following.into_iter().map(|cursor| cursor.channel).collect();
            }
            other => panic!("expected a welcome, got {other:?}"),
        }
        client.wait_for_joins(self, name).await;
        client
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
pub(super) struct Client {
    to_server: mpsc::Sender<Incoming>,
    from_server: mpsc::Receiver<Bytes>,
    reading: watch::Sender<bool>,
    asked: u64,
    answers: BTreeMap<u64, Say>,
    events: BTreeMap<String, VecDeque<Event>>,
    following: Vec<String>,
    pub(super) lagged: u32,
}

impl Client {
    pub(super) async fn ask(&mut self, ask: Ask) -> Say {
        self.asked += 1;
        let frame = ClientFrame { id: self.asked, frame: Some(ask) };
        let bytes = frame::encode_client(&frame, WireForm::Proto);
        self.to_server.send(Incoming::Binary(bytes.into())).await.unwrap();
        loop {
            if let Some(answer) = self.answers.remove(&self.asked) {
                return answer;
            }
            self.hear().await;
        }
    }

    /// All events of a channel up to `seq`, in the order of arrival.
    pub(super) async fn events(&mut self, channel: &str, seq: u64) -> Vec<Event> {
        loop {
            let events = self.events.entry(channel.to_owned()).or_default();
            if events.back().is_some_and(|event| event.seq >= seq) {
                return events.iter().filter(|event| event.seq > 1).cloned().collect();
            }
            self.hear().await;
        }
    }

    pub(super) fn stop_reading(&self) {
        self.reading.send(false).unwrap();
    }
    pub(super) fn read_again(&self) {
        self.reading.send(true).unwrap();
    }

    /// Joins are follow-ups: a session follows a new conversation as soon as the user's own log says so.
    async fn wait_for_joins(&mut self, rig: &Rig, name: &str) {
        let login = (&rig.workspace, user_id(name));
        let joined = rig.store.joined(login.0, &login.1, None, 1000).await.unwrap().rows;
        for (channel, _) in joined {
            let channel = channel.to_string();
            while !self.following.contains(&channel) && !self.events.contains_key(&channel) {
                self.hear().await;
            }
        }
    }

    async fn hear(&mut self) {
        let host = tokio::time::timeout(PATIENCE, self.from_server.recv());
        let bytes = host.await.expect("nothing came for a minute").expect("the server closed");
        let Some(payload) = payload(&bytes) else { return };
        let server = frame::decode_server(payload, WireForm::Proto).unwrap();
        match server.frame {
            Some(Say::Deliver(deliver)) => {
                self.events.entry(deliver.channel).or_default().extend(deliver.events);
            }
            Some(Say::Lagging(_)) => self.lagged += 1,
            Some(answer) if server.re != 0 => _ = self.answers.insert(server.re, answer),
            _ => {}
        }
    }
}

/// The payload of a binary frame (RFC 6455, 5.2, unmasked); `None` for control frames.
fn payload(frame: &[u8]) -> Option<&[u8]> {
    match frame {
        [0x82, 126, _, _, rest @ ..] => Some(rest),
        [0x82, 127, rest @ ..] => rest.get(8..),
        [0x82, _, rest @ ..] => Some(rest),
        _ => None,
    }
}
