//! A bot of the Web API: it posts by `chat.postMessage` over kept-alive HTTP/1.1, each message under a key of its own
//! (`client_msg_id`), and repeats what was not answered.

use crate::{
    clients::{PATIENCE, PORT, Person, RECONNECT},
    world::report::Violation,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use proto::{ts, v1::Ack};
use serde_json::{Value, json};

/// Errors after which a call makes sense again; anything else is no day this world knows.
const PASSING: [&str; 3] = ["service_unavailable", "internal_error", "ratelimited"];

/// The bot.
pub struct Web {
    person: Person,
}

/// A message that waits for its answer.
struct Message {
    channel: String,
    key: String,
    body: Bytes,
}

/// What became of a call.
enum Outcome {
    Answered,
    Again,
    Cut,
}

impl Web {
    /// A bot that has not called yet.
    pub fn new(person: Person) -> Self {
        Self { person }
    }

    /// Lives for ever.
    pub async fn run(self) {
        let mut message = None;
        loop {
            if let Some(mut sender) = self.connect().await {
                self.post(&mut sender, &mut message).await;
                self.person.world.count("client.cuts", 1);
            }
            self.person.host.sleep(RECONNECT).await;
        }
    }

    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let Person { world, host, me, server, .. } = &self.person;
        let stream = world.connect(*me, *server, PORT).await.ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        host.spawn("http", async move { drop(connection.await) });
        Some(sender)
    }

    /// Posts one message after the other until the connection ends.
    async fn post(&self, sender: &mut SendRequest<Full<Bytes>>, waiting: &mut Option<Message>) {
        loop {
            let message = match waiting {
                Some(message) => message,
                None => {
                    self.person.host.sleep(self.person.pause()).await;
                    if self.person.is_quiet() {
                        continue;
                    }
                    waiting.insert(self.compose())
                }
            };
            match self.call(sender, message).await {
                Outcome::Answered => *waiting = None,
                Outcome::Again => self.person.host.sleep(RECONNECT).await,
                Outcome::Cut => return,
            }
        }
    }

    fn compose(&self) -> Message {
        let (channel, key) = (self.person.somewhere(), self.person.key());
        self.person.oracle.sent(&self.person.user, &channel, &key);
        let body = json!({ "channel": channel, "text": self.person.text(), "client_msg_id": key });
        Message { channel, key, body: body.to_string().into() }
    }

    async fn call(&self, sender: &mut SendRequest<Full<Bytes>>, message: &Message) -> Outcome {
        let request = Request::post("/api/chat.postMessage")
            .header(HOST, "waggle")
            .header(AUTHORIZATION, format!("Bearer {}", self.person.token))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Full::new(message.body.clone()))
            .expect("a request of plain headers");
        let calling = async {
            sender.ready().await.ok()?;
            let response = sender.send_request(request).await.ok()?;
            let status = response.status();
            Some((status, response.into_body().collect().await.ok()?.to_bytes()))
        };
        match self.person.host.timeout(PATIENCE, calling).await {
            Ok(Some((status, body))) => self.answered(message, status, &body),
            Ok(None) | Err(_) => Outcome::Cut,
        }
    }

    fn answered(&self, message: &Message, status: StatusCode, body: &[u8]) -> Outcome {
        let Person { world, oracle, me, name, .. } = &self.person;
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let us = answer["ts"].as_str().and_then(ts::parse);
        if let (true, Some(us)) = (answer["ok"] == true, us) {
            world.count("messages", 1);
            world.count("messages.web", 1);
            world.note(Some(*me), "acked", [0, us], &message.key);
            let ack = Ack { channel: message.channel.clone(), us, ..Ack::default() };
            self.person.judge(oracle.acked(&message.key, &ack));
            return Outcome::Answered;
        }
        world.count("client.refused", 1);
        let error = answer["error"].as_str().unwrap_or_default();
        let passing =
            status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || PASSING.contains(&error);
        if !passing {
            let detail = format!("{name} was refused: {status} {}", String::from_utf8_lossy(body));
            world.violate(Violation::new("good posts are not refused", detail));
        }
        Outcome::Again
    }
}
