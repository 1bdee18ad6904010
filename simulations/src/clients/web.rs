//! A script on Slack's Web API over kept-alive HTTP/1.1. Messages carry a key of their own (`client_msg_id`) and are
//! repeated until they are answered; what Slack gives no key is asked once.

use crate::{
    clients::{PATIENCE, Person, RECONNECT, Refusal, Verdict, knows::Knows},
    plan::Do,
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use proto::ts;
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::atomic::Ordering::Relaxed, time::Duration};

/// Errors after which a call makes sense again; a token that was just revoked is replaced by another.
const PASSING: [&str; 4] = ["service_unavailable", "internal_error", "ratelimited", "token_revoked"];
/// Errors that leave open whether it was done.
const UNKNOWN: [&str; 1] = ["internal_error"];

/// The script.
pub struct Web {
    person: Person,
    knows: Knows,
    waiting: VecDeque<Call>,
}

/// A call that waits for its answer.
struct Call {
    method: &'static str,
    body: Value,
    kind: &'static str,
    channel: String,
    /// Of a message; other calls have none and are asked once.
    key: Option<String>,
    tries: u32,
}

/// A call without a key.
fn plain(method: &'static str, kind: &'static str, channel: String, body: Value) -> Call {
    Call { method, body, kind, channel, key: None, tries: 0 }
}

/// What became of a call.
pub enum Outcome {
    /// The HTTP status and the JSON of the answer.
    Answered(StatusCode, Bytes),
    /// The connection is of no more use.
    Cut,
}

/// Calls a method over a connection.
pub async fn call(
    person: &Person,
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    token: &str,
    body: &Value,
) -> Outcome {
    let request = Request::post(format!("/api/{method}"))
        .header(HOST, "waggle")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request of plain headers");
    let calling = async {
        sender.ready().await.ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        Some((status, response.into_body().collect().await.ok()?.to_bytes()))
    };
    match person.host.timeout(PATIENCE, calling).await {
        Ok(Some((status, body))) => {
            person.hears(&body);
            Outcome::Answered(status, body)
        }
        Ok(None) | Err(_) => Outcome::Cut,
    }
}

/// A connection for calls.
pub async fn open(person: &Person) -> Option<SendRequest<Full<Bytes>>> {
    let stream = person.connect().await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    person.host.spawn("http", async move { drop(connection.await) });
    Some(sender)
}

impl Web {
    /// A script that has not called yet.
    pub fn new(person: Person) -> Self {
        Self { person, knows: Knows::default(), waiting: VecDeque::new() }
    }

    /// Lives for ever.
    pub async fn run(mut self) {
        loop {
            if let Some(mut sender) = open(&self.person).await {
                while self.turn(&mut sender).await {}
                self.person.world.count("client.cuts", 1);
            }
            self.person.host.sleep(RECONNECT).await;
        }
    }

    /// Does the next thing; false when the connection is over.
    async fn turn(&mut self, sender: &mut SendRequest<Full<Bytes>>) -> bool {
        if self.waiting.is_empty() {
            match self.person.next_deed() {
                Some(deed) if deed.what == Do::Reconnect => return false,
                Some(deed) => {
                    self.person.world.count_deed(deed.what.name());
                    self.begin(&deed.what);
                }
                None => {
                    let wait = self.person.until_next().unwrap_or(Duration::from_secs(5));
                    self.person
                        .host
                        .sleep(wait.clamp(Duration::from_millis(1), Duration::from_secs(5)))
                        .await;
                }
            }
        }
        self.person.busy.store(self.waiting.len(), Relaxed);
        let Some(mut call) = self.waiting.pop_front() else { return true };
        call.tries += 1;
        self.person.world.count("commands", 1);
        self.person.world.count("visits", 1);
        let outcome = self::call(&self.person, sender, call.method, &self.person.token(), &call.body).await;
        match outcome {
            Outcome::Answered(status, body) => self.answered(call, status, &body).await,
            Outcome::Cut => {
                self.person.busy.store(usize::from(call.key.is_some()), Relaxed);
                if call.key.is_some() {
                    self.waiting.push_front(call);
                }
                false
            }
        }
    }

    fn begin(&mut self, what: &Do) {
        let calls = if let Do::Flood { channel, count } = what {
            let post =
                Do::Post { channel: *channel, words: 4, thread: None, broadcast: false, mention: None };
            (0..(*count).min(12)).filter_map(|_| self.call_of(&post)).collect()
        } else {
            self.call_of(what).into_iter().collect::<Vec<_>>()
        };
        self.waiting.extend(calls);
    }

    fn call_of(&mut self, what: &Do) -> Option<Call> {
        let Do::Post { channel, words, thread, broadcast, mention } = what else {
            return self.call_about_message(what).or_else(|| self.call_about_channel(what));
        };
        let person = &self.person;
        let (channel, key) = (person.channel(*channel)?, person.key());
        let text = person.text(*words, *mention);
        let mut body = json!({ "channel": channel, "text": text, "client_msg_id": key });
        if let Some(us) = thread.and_then(|back| self.knows.own(&channel, back)) {
            body["thread_ts"] = ts::format(us).into();
            body["reply_broadcast"] = (*broadcast).into();
        }
        person.sends(&key, "post", &channel, Some(&text), None);
        Some(Call { key: Some(key), ..plain("chat.postMessage", "post", channel, body) })
    }

    fn call_about_message(&self, what: &Do) -> Option<Call> {
        let (Do::Edit { channel, back, .. }
        | Do::Delete { channel, back }
        | Do::React { channel, back, .. }
        | Do::Mark { channel, back }) = what
        else {
            return None;
        };
        let channel = self.person.channel(*channel)?;
        let at = ts::format(self.knows.own(&channel, *back)?);
        Some(match what {
            Do::Edit { words, .. } => {
                let text = self.person.text(*words, None);
                let body = json!({ "channel": channel, "ts": at, "text": text });
                plain("chat.update", "edit", channel, body)
            }
            Do::Delete { .. } => {
                let body = json!({ "channel": channel, "ts": at });
                plain("chat.delete", "delete", channel, body)
            }
            Do::React { emoji, .. } => {
                let name = ["tada", "eyes", "wave", "+1"][emoji % 4];
                let body = json!({ "channel": channel, "timestamp": at, "name": name });
                plain("reactions.add", "react", channel, body)
            }
            _ => {
                let body = json!({ "channel": channel, "ts": at });
                plain("conversations.mark", "mark", channel, body)
            }
        })
    }

    fn call_about_channel(&self, what: &Do) -> Option<Call> {
        let named = |number: usize| self.person.channel(number);
        Some(match what {
            Do::Join { channel } => {
                let channel = named(*channel)?;
                let body = json!({ "channel": channel });
                plain("conversations.join", "join", channel, body)
            }
            Do::Leave { channel } => {
                let channel = named(*channel)?;
                let body = json!({ "channel": channel });
                plain("conversations.leave", "leave", channel, body)
            }
            Do::Invite { channel, person } => {
                let channel = named(*channel)?;
                let body = json!({ "channel": channel, "users": self.person.users.get(*person)? });
                plain("conversations.invite", "invite", channel, body)
            }
            Do::Direct { person } => {
                let body = json!({ "users": self.person.users.get(*person)? });
                plain("conversations.open", "direct", String::new(), body)
            }
            Do::History { channel, limit } => {
                let channel = named(*channel)?;
                let body = json!({ "channel": channel, "limit": limit });
                plain("conversations.history", "history", channel, body)
            }
            _ => return None,
        })
    }

    async fn answered(&mut self, mut call: Call, status: StatusCode, body: &Bytes) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        if answer["ok"] == true {
            self.done(&call, &answer);
            return true;
        }
        let code = answer["error"].as_str().unwrap_or("internal_error").to_owned();
        let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let passing = passing || PASSING.contains(&code.as_str());
        let Some(key) = call.key.clone() else {
            self.person.world.count_refusal(&code);
            return !passing;
        };
        let again = passing.then_some(RECONNECT);
        let unknown = UNKNOWN.contains(&code.as_str()) || (passing && answer["error"].is_null());
        let refusal = Refusal { code: &code, unknown, again };
        let plain = call.body["thread_ts"].is_null();
        let about = (call.kind, call.channel.as_str(), plain);
        if let Verdict::Again(delay) = self.person.refused(&key, &refusal, call.tries == 1, about) {
            self.person.host.sleep(delay).await;
            call.tries += 1;
            self.waiting.push_front(call);
        }
        // A node that refuses may be one that was replaced: the next connection goes where people are sent now.
        !passing
    }

    fn done(&mut self, call: &Call, answer: &Value) {
        let us = answer["ts"].as_str().and_then(ts::parse);
        match (&call.key, us) {
            (Some(key), Some(us)) => {
                self.person.world.count("messages.web", 1);
                self.person.acked(key, us, None);
                self.knows.wrote(&call.channel, us);
            }
            _ => self.person.world.count("calls", 1),
        }
    }
}
