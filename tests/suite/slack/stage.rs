//! A node without sockets and the people on it: calls of the Web API, RTM connections, every answer checked against
//! the oracle.

use super::oracle::Oracle;
use actors::admin;
use actors::api::{self, Args, Request};
use actors::context::Context;
use actors::node::Node;
use actors::session::{self, FrameSocket, Incoming, SocketError};
use actors::store::Store;
use actors::store::memory::MemoryStore;
use bytes::Bytes;
use cells::machine::{Machine, Threads};
use cluster::claims::Claims;
use cluster::node::{BootId, CellId, Node as Me, NodeId};
use proto::frame::WireForm;
use serde_json::{Value, json};
use std::sync::Arc;
use tests::harness::step;
use tokio::sync::mpsc;

pub(super) const URL: &str = "http://127.0.0.1:8065/";

pub(super) struct Stage {
    pub(super) context: Context,
    pub(super) oracle: Oracle,
    node: Node,
}

/// A user with a token.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) workspace: String,
}

impl Stage {
    /// A node on which there is workspace `acme`.
    pub(super) fn run(test: impl AsyncFnOnce(&Stage)) {
        Self::bare(async |stage| {
            stage.admin("workspace.create", json!({ "name": "acme" })).await;
            test(stage).await;
        });
    }
    /// A node on which there is nothing.
    pub(super) fn bare(test: impl AsyncFnOnce(&Stage)) {
        Self::over(MemoryStore::new(), test);
    }
    /// A node on which there is what this store holds.
    pub(super) fn over<S: Store + Claims>(store: S, test: impl AsyncFnOnce(&Stage)) {
        let machine = Machine::start(Threads::default()).unwrap();
        let host = machine.host();
        machine.block_on(async {
            let store = Arc::new(store);
            let me =
                Me { id: NodeId::parse("n1").unwrap(), boot: BootId(1), cell: CellId::parse("a").unwrap() };
            let config = actors::config::Config {
                public_url: URL.to_owned(),
                rate_per_s: 1_000_000,
                rate_burst: 1_000_000,
                text_chars_max: 1000,
                json_bytes_max: 1000,
                ..Default::default()
            };
            let node = Node::start(host, store.clone(), store.clone(), config, me).await.unwrap();
            let stage = Stage { context: node.context.clone(), oracle: Oracle::load(), node };
            test(&stage).await;
        });
    }

    pub(super) async fn admin(&self, verb: &str, args: Value) -> Value {
        let answer = step(verb, admin::run(&self.context, verb, &args)).await.unwrap();
        answer.unwrap_or_else(|error| panic!("{verb} {args}: {error}"))
    }

    /// A person of workspace `acme` with a user token.
    pub(super) async fn person(&self, name: &str) -> Person {
        self.member("acme", name, json!({})).await
    }
    /// A bot of workspace `acme` with a bot token.
    pub(super) async fn bot(&self, name: &str) -> Person {
        self.member("acme", name, json!({ "bot": true })).await
    }
    pub(super) async fn member(&self, workspace: &str, name: &str, more: Value) -> Person {
        let mut args =
            json!({ "workspace": workspace, "name": name, "email": format!("{name}@example.org") });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.admin("user.create", args).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let workspace = made["workspace"].as_str().unwrap().to_owned();
        let token = self.token(&workspace, &id, json!({})).await;
        Person { id, token, workspace }
    }
    pub(super) async fn token(&self, workspace: &str, user: &str, more: Value) -> String {
        let mut args = json!({ "workspace": workspace, "user": user });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.admin("token.create", args).await["token"].as_str().unwrap().to_owned()
    }
    /// The same person with a token of these scopes.
    pub(super) async fn scoped(&self, person: &Person, scopes: &[&str]) -> Person {
        let token = self.token(&person.workspace, &person.id, json!({ "scope": scopes })).await;
        Person { token, ..person.clone() }
    }

    pub(super) async fn call(&self, method: &str, token: Option<&str>, args: Value) -> api::Response {
        let args: Args = args.as_object().unwrap().clone().into_iter().collect();
        let bearer = token.map(str::to_owned);
        let request = Request { method: method.to_owned(), args, bearer, request_id: "r".to_owned() };
        step(method, api::call(&self.context, request)).await.unwrap()
    }
    /// An answer that has to be `ok` and to look like Slack's.
    pub(super) async fn ok(&self, person: &Person, method: &str, args: Value) -> Value {
        let answer = body(&self.call(method, Some(&person.token), args.clone()).await);
        assert_eq!(answer["ok"], true, "{method} {args}: {answer}");
        let wrong = self.oracle.reply(method, &answer);
        assert!(wrong.is_empty(), "{method} {args}: {wrong:#?} in {answer:#}");
        answer
    }
    /// The error of an answer that has to be one, with HTTP 200.
    pub(super) async fn error(&self, person: &Person, method: &str, args: Value) -> String {
        let response = self.call(method, Some(&person.token), args.clone()).await;
        let answer = body(&response);
        assert_eq!((response.status, &answer["ok"]), (200, &json!(false)), "{method} {args}: {answer}");
        answer["error"].as_str().unwrap().to_owned()
    }
    /// A public channel made by this person.
    pub(super) async fn channel(&self, person: &Person, name: &str) -> String {
        let made = self.ok(person, "conversations.create", json!({ "name": name })).await;
        made["channel"]["id"].as_str().unwrap().to_owned()
    }
    /// Posts and answers the ts.
    pub(super) async fn post(&self, person: &Person, channel: &str, text: &str) -> String {
        let answer = self.ok(person, "chat.postMessage", json!({ "channel": channel, "text": text })).await;
        answer["ts"].as_str().unwrap().to_owned()
    }

    /// An RTM connection by way of `rtm.connect`, after its `hello`.
    pub(super) async fn rtm(&self, person: &Person) -> Rtm<'_> {
        let answer = self.ok(person, "rtm.connect", json!({})).await;
        let url = answer["url"].as_str().unwrap();
        let ticket = url.strip_prefix("ws://127.0.0.1:8065/rtm/").unwrap();
        let login = self.context.tickets.redeem(ticket).await.expect("a fresh ticket");
        assert_eq!(self.context.tickets.redeem(ticket).await, None, "a ticket is good once");
        let (to_server, from_client) = mpsc::channel(64);
        let (to_client, from_server) = mpsc::channel(64);
        let wire = Wire { incoming: from_client, out: to_client };
        let seat = self.node.gateway.seat().unwrap();
        let shard = seat.shard();
        self.context.host.spawn_on(shard, "rtm", session::run(seat, wire, WireForm::Rtm, Some(login)));
        let mut rtm = Rtm { stage: self, to_server, from_server, last_id: 0 };
        assert_eq!(rtm.next().await, json!({ "type": "hello" }));
        rtm
    }
}

pub(super) fn body(response: &api::Response) -> Value {
    serde_json::from_slice(&response.body).expect("answers are JSON")
}

struct Wire {
    incoming: mpsc::Receiver<Incoming>,
    out: mpsc::Sender<Bytes>,
}

impl FrameSocket for Wire {
    async fn next(&mut self) -> Option<Result<Incoming, SocketError>> {
        self.incoming.recv().await.map(Ok)
    }
    async fn send(&mut self, frames: &[Bytes]) -> Result<(), SocketError> {
        for frame in frames {
            let gone = |_| SocketError::Io("the client is gone".into());
            self.out.send(frame.clone()).await.map_err(gone)?;
        }
        Ok(())
    }
    async fn close(&mut self, _code: u16, _reason: &str) {
        self.incoming.close();
    }
}

/// The client's end of an RTM connection.
pub(super) struct Rtm<'a> {
    stage: &'a Stage,
    to_server: mpsc::Sender<Incoming>,
    from_server: mpsc::Receiver<Bytes>,
    last_id: i64,
}

impl Rtm<'_> {
    pub(super) async fn send(&mut self, frame: &Value) {
        self.to_server.send(Incoming::Text(frame.to_string().into())).await.unwrap();
    }
    /// Sends a frame under a new id and answers the id.
    pub(super) async fn ask(&mut self, mut frame: Value) -> i64 {
        self.last_id += 1;
        frame["id"] = self.last_id.into();
        self.send(&frame).await;
        self.last_id
    }
    /// The next frame, checked; control frames are passed over.
    pub(super) async fn next(&mut self) -> Value {
        loop {
            let frame = step("an RTM frame", self.from_server.recv()).await.unwrap().expect("still open");
            if let Some(text) = text(&frame) {
                let frame: Value = serde_json::from_slice(text).expect("frames are JSON");
                let wrong = self.stage.oracle.frame(&frame);
                assert!(wrong.is_empty(), "{wrong:#?} in {frame:#}");
                return frame;
            }
        }
    }
    /// The next frame of this type; those before it are passed over.
    pub(super) async fn until(&mut self, kind: &str) -> Value {
        self.find(|frame| frame["type"] == kind).await
    }
    /// The next frame that fits; those before it are passed over.
    pub(super) async fn find(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.next().await;
            if fits(&frame) {
                return frame;
            }
        }
    }
}

/// The payload of an unmasked text frame (RFC 6455, 5.2); `None` for control frames.
fn text(frame: &[u8]) -> Option<&[u8]> {
    match frame {
        [0x81, 126, _, _, rest @ ..] => Some(rest),
        [0x81, 127, rest @ ..] => rest.get(8..),
        [0x81, _, rest @ ..] => Some(rest),
        _ => None,
    }
}
