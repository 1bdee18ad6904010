//! A script on Slack's Web API over kept-alive HTTP/1.1. Messages carry a key of their own (`client_msg_id`) and are
//! repeated until they are answered; what Slack gives no key is asked once.

mod looks;

pub use looks::LOOKS;

use crate::{
    clients::{PATIENCE, Person, RECONNECT, Refusal, Verdict, knows::Knows},
    plan::Do,
    promises::{
        heard::{self, Due},
        no_phantom,
    },
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{SendRequest, handshake},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use looks::{Carried, Known};
use proto::ts;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

/// Errors after which a call makes sense again; a token that was just revoked is replaced by another.
const PASSING: [&str; 4] = ["service_unavailable", "internal_error", "ratelimited", "token_revoked"];
/// Errors that leave open whether it was done.
const UNKNOWN: [&str; 1] = ["internal_error"];

/// Between the parts of a multipart body.
const BOUNDARY: &str = "a-line-that-nobody-writes";

/// The script.
pub struct Web {
    person: Person,
    knows: Knows,
    waiting: VecDeque<Call>,
    /// Where the last page of a list ended, by method.
    cursors: BTreeMap<&'static str, String>,
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
    carried: Carried,
    /// What a lookup or a mistake must be answered.
    due: Option<Due>,
}

/// A call without a key.
fn plain(method: &'static str, kind: &'static str, channel: String, body: Value) -> Call {
    Call { method, body, kind, channel, key: None, tries: 0, carried: Carried::Json, due: None }
}

/// What became of a call.
pub enum Outcome {
    /// The HTTP status and the JSON of the answer.
    Answered(StatusCode, Bytes),
    /// The connection is of no more use.
    Cut,
}

/// Calls a method over a connection, with its arguments as JSON.
pub async fn call(
    person: &Person,
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    token: &str,
    body: &Value,
) -> Outcome {
    send(person, sender, request(method, token, body, &Carried::Json)).await
}

fn request(method: &str, token: &str, body: &Value, carried: &Carried) -> Request<Full<Bytes>> {
    let form = || {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(looks::fields(body)).finish()
    };
    let (kind, bytes) = match carried {
        Carried::Json => ("application/json; charset=utf-8".to_owned(), body.to_string()),
        Carried::Form => ("application/x-www-form-urlencoded".to_owned(), form()),
        Carried::Query => (String::new(), String::new()),
        Carried::Parts => {
            let part = |(name, value): (String, String)| {
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let parts: String = looks::fields(body).into_iter().map(part).collect();
            (format!("multipart/form-data; boundary={BOUNDARY}"), format!("{parts}--{BOUNDARY}--\r\n"))
        }
        Carried::Raw(kind, bytes) => ((*kind).to_owned(), (*bytes).to_owned()),
    };
    let request = match carried {
        Carried::Query => Request::get(format!("/api/{method}?{}", form())),
        _ => Request::post(format!("/api/{method}")).header(CONTENT_TYPE, kind),
    };
    let request = request.header(HOST, "waggle").header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(Full::new(Bytes::from(bytes))).expect("a request of plain headers")
}

async fn send(
    person: &Person,
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Outcome {
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
        Self { person, knows: Knows::default(), waiting: VecDeque::new(), cursors: BTreeMap::new() }
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
        let request = request(call.method, &self.person.token(), &call.body, &call.carried);
        let outcome = send(&self.person, sender, request).await;
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
            let looked = self.look(what);
            return looked
                .or_else(|| self.call_about_message(what))
                .or_else(|| self.call_about_channel(what));
        };
        let person = &self.person;
        let (channel, key) = (person.channel(*channel)?, person.key());
        let text = person.text(*words, *mention);
        let mut body = json!({ "channel": channel, "text": text, "client_msg_id": key });
        if let Some(us) = thread.and_then(|back| self.knows.own(&channel, back)) {
            body["thread_ts"] = ts::format(us).into();
            body["reply_broadcast"] = (*broadcast).into();
        }
        if words.is_multiple_of(3) {
            body["blocks"] = json!([{ "type": "section", "text": { "type": "plain_text", "text": text } }]);
            body["attachments"] = json!([{ "fallback": text }]);
            body["metadata"] = json!({ "event_type": "said", "event_payload": { "words": words } });
            body["icon_emoji"] = ":bee:".into();
        }
        person.sends(&key, "post", &channel, Some(&text), None);
        Some(Call { key: Some(key), ..plain("chat.postMessage", "post", channel, body) })
    }

    fn look(&self, what: &Do) -> Option<Call> {
        let Do::Look { what, channel, person, back } = what else { return None };
        let channel = self.person.channel(*channel)?;
        let user = self.person.users.get(*person)?.clone();
        let (person, knows, cursors) = (&self.person, &self.knows, &self.cursors);
        let known = Known { person, knows, cursors, channel: channel.clone(), user, back: *back };
        let looks::Look { method, body, carried, due } = looks::look(&known, *what)?;
        Some(Call { carried, due: Some(due), ..plain(method, "look", channel, body) })
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
                self.person.oracle.said(&self.person.name_of(&channel), &text);
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
        self.judge(&call, &answer);
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

    /// Whether a lookup was answered as it must be, and pages with what was said.
    fn judge(&mut self, call: &Call, answer: &Value) {
        let person = &self.person;
        if let Some(messages) = answer["messages"].as_array() {
            let channel = person.name_of(&call.channel);
            person.judge(no_phantom::history(&person.oracle.book(), person.number, &channel, messages));
        }
        let Some(due) = call.due else { return };
        let code = answer["error"].as_str();
        if code.is_none_or(|code| !PASSING.contains(&code)) {
            let moves = person.moves.contains(&call.channel);
            person.judge(heard::called(person.number, call.method, due, code, moves));
        }
        match answer["response_metadata"]["next_cursor"].as_str() {
            Some(cursor) if !cursor.is_empty() => _ = self.cursors.insert(call.method, cursor.to_owned()),
            _ => _ = self.cursors.remove(call.method),
        }
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
