use super::*;
use crate::machine::{Machine, Threads};
use actors::{shard::GoAway, store::memory::MemoryStore};
use cluster::node::{BootId, CellId, NodeId};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
/// Short enough to wait for, and nothing is asserted about how long it really takes.
const SOON_MS: u64 = 30;

/// A gateway on the production machine; the node behind it keeps everything in memory.
struct Rig {
    machine: Machine,
    gateway: Gateway,
}

impl Rig {
    fn new(config: Config) -> Self {
        let machine = Machine::start(Threads { shards: 2, workers: 2, blocking_max: 2 }).unwrap();
        let gateway = Gateway::new(machine.host(), config, Arc::new(|| "a_metric 1\n".to_owned()));
        Self { machine, gateway }
    }
    fn open(config: Config) -> Self {
        let rig = Self::new(config);
        let store = Arc::new(MemoryStore::new());
        let actors = actors::config::Config { public_url: "http://here/".into(), ..Default::default() };
        let me = cluster::node::Node {
            id: NodeId::parse("n").unwrap(),
            boot: BootId(1),
            cell: CellId::parse("c").unwrap(),
        };
        let starting = Node::start(rig.machine.host(), store.clone(), store, actors, me);
        rig.gateway.open(rig.machine.block_on(starting).unwrap());
        rig
    }
    fn host(&self) -> Host {
        self.machine.host()
    }
    /// The far end of a connection that is being served; `room` bytes fit into it unread.
    fn connect(&self, room: usize) -> DuplexStream {
        let (near, far) = duplex(room);
        self.host().spawn("http", self.gateway.clone().serve(near, HERE));
        far
    }
    /// What comes back for these bytes until the connection ends.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut far = self.connect(1 << 16);
        far.write_all(bytes).await.unwrap();
        heard(&mut far).await
    }
    async fn get(&self, path: &str) -> String {
        self.say(format!("GET {path} HTTP/1.1\r\nconnection: close\r\n\r\n").as_bytes()).await
    }
    async fn post(&self, kind: &str, body: &str) -> Value {
        let length = body.len();
        let head = format!("POST /api/api.test HTTP/1.1\r\nconnection: close\r\ncontent-type: {kind}\r\n");
        json_of(&self.say(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).await)
    }
    /// A token of a bot, as `waggle admin` would make it.
    async fn token(&self) -> String {
        let context = &self.gateway.node().unwrap().context;
        let admin = async |verb: &str, args: Value| actors::admin::run(context, verb, &args).await.unwrap();
        admin("workspace.create", json!({ "name": "w" })).await;
        admin("user.create", json!({ "workspace": "w", "name": "b", "bot": true })).await;
        let token = admin("token.create", json!({ "workspace": "w", "user": "b" })).await;
        token["token"].as_str().unwrap().to_owned()
    }
    /// Waits until so many connections have been let in and are no sessions.
    async fn connections(&self, count: usize) {
        let admission = &self.gateway.0.admission;
        while admission.handshakes() + admission.http_connections() != count {
            self.host().sleep(Duration::from_millis(1)).await;
        }
    }
}

async fn heard(far: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}"));
    status.parse().unwrap()
}

fn json_of(answer: &str) -> Value {
    assert_eq!(status_of(answer), 200, "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn soon(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config { close_timeout_ms: SOON_MS, ..Config::default() };
    change(&mut config);
    config
}

#[test]
fn the_door_says_what_state_the_node_is_in() {
    let rig = Rig::new(soon(|_| {}));
    rig.machine.block_on(async {
        for (phase, reason) in [(Phase::Loading, "loading"), (Phase::Claiming, "claiming")] {
            rig.gateway.set_phase(phase);
            let ready = rig.get("/readyz").await;
            assert_eq!(status_of(&ready), 503);
            assert!(ready.ends_with(&format!("{{\"ready\":false,\"reason\":\"{reason}\"}}")), "{ready}");
            assert_eq!(status_of(&rig.get("/healthz").await), 200);
            let api = rig.get("/api/api.test").await;
            assert_eq!(status_of(&api), 503, "no answer of the API would be true yet");
            assert!(api.contains("retry-after: 1\r\n"), "{api}");
        }
    });
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        assert_eq!(json_of(&rig.get("/readyz").await), json!({ "ready": true }));
        assert!(rig.get("/metrics").await.ends_with("\r\n\r\na_metric 1\n"));
        let sessions = rig.gateway.node().unwrap().gateway.clone();
        sessions.send_away(&GoAway { reason: "cut_off", window: Duration::ZERO }).await;
        assert!(rig.get("/readyz").await.contains("\"reason\":\"cut_off\""));
        assert!(sessions.seat().is_err());
        sessions.welcome("cut_off").await;
        assert_eq!(json_of(&rig.get("/readyz").await), json!({ "ready": true }));
        assert!(sessions.seat().is_ok());
        rig.gateway.drain();
        assert!(rig.get("/readyz").await.contains("\"reason\":\"draining\""));
    });
}

#[test]
fn every_answer_names_its_request_and_no_two_the_same() {
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        let mut ids = std::collections::BTreeSet::new();
        for path in ["/", "/healthz", "/nothing", "/api/api.test", "/api/nothing", "/connect", "/signin/x"] {
            let answer = rig.get(path).await;
            let id = answer.lines().find_map(|line| line.strip_prefix("x-slack-req-id: "));
            assert!(ids.insert(id.unwrap_or_else(|| panic!("{path} has no id: {answer}")).to_owned()));
        }
    });
}

#[test]
fn arguments_come_in_every_form_that_slacks_clients_use() {
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        for path in ["/api/api.test?a=1", "/api//api.test?a=1", "/api.test?a=1", "/api/api.test/?a=1"] {
            assert_eq!(json_of(&rig.get(path).await), json!({ "ok": true, "args": { "a": "1" } }), "{path}");
        }
        let expected = json!({ "ok": true, "args": { "a": "1" } });
        assert_eq!(rig.post("application/json; charset=utf-8", "{\"a\":\"1\"}").await, expected);
        assert_eq!(rig.post("application/x-www-form-urlencoded", "a=1").await, expected);
        let multipart = "--B\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\n\
             content-disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nfile\r\n--B--\r\n";
        assert_eq!(rig.post("multipart/form-data; boundary=B", multipart).await, expected);
        assert_eq!(rig.post("application/json", "").await, json!({ "ok": true, "args": {} }));
        let chunked =
            b"POST /api/api.test HTTP/1.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
              transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n4\r\n\"1\"}\r\n0\r\n\r\n";
        assert_eq!(json_of(&rig.say(chunked).await), expected);
    });
}

#[test]
fn what_cannot_be_read_is_refused_in_slacks_words() {
    let rig = Rig::open(soon(|config| {
        config.body_bytes_max = 2000;
        config.args_max = 8;
    }));
    rig.machine.block_on(async {
        let form = "application/x-www-form-urlencoded";
        let deep = "[".repeat(1000);
        for (kind, body, error) in [
            ("application/json", "{\"a\":", "invalid_json"),
            ("application/json", deep.as_str(), "invalid_json"),
            ("application/json", "[1]", "json_not_object"),
            (form, "a=%ff", "invalid_form_data"),
            ("image/png", "x", "invalid_post_type"),
            ("multipart/form-data", "x", "invalid_form_data"),
            ("multipart/form-data; boundary=B", "--B\r\nhalf", "invalid_form_data"),
            (form, "a&b&c&d&e&f&g&h&i&j", "invalid_arguments"),
            (form, &"a".repeat(2001), "invalid_arguments"),
        ] {
            let answer = rig.post(kind, body).await;
            assert_eq!((&answer["ok"], &answer["error"]), (&json!(false), &json!(error)), "{kind} {answer}");
        }
        let endless = format!(
            "POST /api/api.test HTTP/1.1\r\ncontent-type: {form}\r\ntransfer-encoding: chunked\r\n\r\n{}",
            format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(3)
        );
        let answer = rig.say(endless.as_bytes()).await;
        assert!(answer.contains("connection: close\r\n"), "the rest will not be read: {answer}");
        assert!(answer.contains("the body is larger than 2000 bytes"), "{answer}");
    });
}

#[test]
fn a_head_that_is_too_large_or_never_ends_or_is_not_http_ends_the_connection() {
    let rig = Rig::open(soon(|config| {
        config.header_bytes_max = 1000;
        config.handshake_timeout_ms = SOON_MS;
    }));
    rig.machine.block_on(async {
        let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1000));
        assert_eq!(status_of(&rig.say(long.as_bytes()).await), 431);
        assert_eq!(status_of(&rig.say(b"\xff\xfe\r\n\r\n").await), 400);
        assert_eq!(rig.say(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, "");
        assert_eq!(rig.say(b"GET / HTT").await, "", "half a request is not answered");
        assert_eq!(rig.say(b"").await, "");
        rig.connections(0).await;
    });
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let rig = Rig::open(soon(|config| config.body_timeout_ms = SOON_MS));
    rig.machine.block_on(async {
        let answer = rig.say(b"POST /api/api.test HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf").await;
        assert_eq!(json_of(&answer)["error"], "request_timeout");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        rig.connections(0).await;
    });
}

#[test]
fn a_connection_serves_many_requests_and_ends_when_nobody_asks_any_more() {
    let rig = Rig::open(soon(|config| {
        config.handshake_timeout_ms = SOON_MS;
        config.keep_alive_ms = 2 * SOON_MS;
    }));
    rig.machine.block_on(async {
        let answer = rig.say(&b"GET /healthz HTTP/1.1\r\n\r\n".repeat(3)).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
        rig.connections(0).await;
    });
}

#[test]
fn one_that_never_reads_its_answer_is_cut() {
    let rig = Rig::open(soon(|config| config.write_timeout_ms = SOON_MS));
    rig.machine.block_on(async {
        let mut far = rig.connect(64);
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        far.read_exact(&mut [0; 15]).await.unwrap();
        rig.connections(0).await;
        assert!(heard(&mut far).await.len() <= 64, "what had been written is there, no more");
    });
}

#[test]
fn connections_over_a_limit_are_refused_and_the_others_are_served() {
    let rig = Rig::open(soon(|config| config.http_connections_max = 1));
    rig.machine.block_on(async {
        let mut first = rig.connect(1 << 16);
        first.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
        let mut begin = [0; 15];
        first.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
        let second = rig.get("/healthz").await;
        assert_eq!(status_of(&second), 503);
        assert!(
            second.contains("retry-after: 1\r\n") && second.contains("connection: close\r\n"),
            "{second}"
        );
        first.write_all(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(heard(&mut first).await.contains("HTTP/1.1 200 OK"));
        rig.connections(0).await;
        assert_eq!(status_of(&rig.get("/healthz").await), 200);
    });
}

#[test]
fn draining_answers_what_was_asked_and_closes_what_is_idle() {
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        let mut idle = rig.connect(1 << 16);
        idle.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").await.unwrap();
        let mut begin = [0; 15];
        idle.read_exact(&mut begin).await.unwrap();
        let mut asking = rig.connect(1 << 16);
        asking.write_all(b"POST /api/api.test HTTP/1.1\r\ncontent-length: 1\r\n\r\n").await.unwrap();
        rig.connections(2).await;
        rig.gateway.drain();
        heard(&mut idle).await;
        asking.write_all(b" ").await.unwrap();
        assert_eq!(json_of(&heard(&mut asking).await)["ok"], true);
        rig.connections(0).await;
    });
}

#[test]
fn a_stream_of_any_kind_becomes_a_session() {
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        let token = rig.token().await;
        let mut request = "ws://here/connect".into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", HeaderValue::from_static("mqtt, waggle.v1.json"));
        headers.insert("authorization", HeaderValue::try_from(format!("bearer {token}")).unwrap());
        let far = rig.connect(1 << 16);
        let (mut client, answer) = tokio_tungstenite::client_async(request, far).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "waggle.v1.json");
        client.send(Message::Text(json!({ "id": "1", "hello": {} }).to_string().into())).await.unwrap();
        let welcome = client.next().await.unwrap().unwrap().into_text().unwrap();
        let welcome: Value = serde_json::from_str(&welcome).unwrap();
        assert_eq!(welcome["re"], "1");
        assert!(welcome["welcome"]["user"].as_str().is_some_and(|user| user.starts_with('U')), "{welcome}");
        rig.connections(0).await; // it is a session now
        client.close(None).await.unwrap();
        while let Some(Ok(_)) = client.next().await {}
    });
}

#[test]
fn handshakes_that_cannot_be_taken_say_why() {
    let rig = Rig::open(soon(|_| {}));
    rig.machine.block_on(async {
        let key = "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n";
        let upgrade = format!("connection: upgrade, close\r\nupgrade: websocket\r\n{key}");
        let native = format!("{upgrade}sec-websocket-protocol: waggle.v1.proto\r\n");
        for (path, headers, status) in [
            ("/connect", "connection: close\r\n", 426),
            ("/connect", &upgrade.replace("13", "8"), 426),
            ("/connect", &upgrade.replace("AAAAAAAA", "?"), 426),
            ("/connect", &upgrade, 400),
            ("/connect?ticket=nothing", &native, 401),
            ("/connect", &format!("{native}authorization: Bearer xoxb-nobody\r\n"), 401),
        ] {
            let answer = rig.say(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
            assert_eq!(status_of(&answer), status, "{path} {headers} {answer}");
        }
        assert_eq!(status_of(&rig.say(b"POST /connect HTTP/1.1\r\nconnection: close\r\n\r\n").await), 405);
    });
}
