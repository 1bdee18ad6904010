//! A bot on Slack's RTM: it asks for an address by `rtm.connect`, listens, and posts. RTM knows no keys, so what
//! was not answered when a connection breaks stays open for good and is not sent again.

use crate::{
    clients::{
        PATIENCE, Person, RECONNECT, Refusal, Socket,
        ear::{Ear, Heard, SILENCE},
        web,
    },
    oracle::{
        book::{RTM_POST, Told},
        logs::text_hash,
    },
    plan::Do,
    promises::sense,
};
use futures::SinkExt;
use proto::ts;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tungstenite::Message;

/// A message without its answer.
struct Waiting {
    key: String,
    channel: String,
}

/// The bot.
pub struct Rtm {
    person: Person,
    open: BTreeMap<u64, Waiting>,
    asked: u64,
    hang_up: bool,
}

impl Rtm {
    /// A bot that has not connected yet.
    pub fn new(person: Person) -> Self {
        Self { person, open: BTreeMap::new(), asked: 0, hang_up: false }
    }

    /// Lives for ever.
    pub async fn run(mut self) {
        loop {
            if let Some(socket) = self.connect().await {
                self.live(socket).await;
                self.person.world.count("client.cuts", 1);
            }
            for (_, lost) in std::mem::take(&mut self.open) {
                self.person.oracle.given_up(&lost.key, "connection lost", true);
            }
            self.hang_up = false;
            self.person.host.sleep(RECONNECT).await;
        }
    }

    async fn connect(&self) -> Option<Socket> {
        let mut sender = web::open(&self.person).await?;
        let token = self.person.token();
        let answered = web::call(&self.person, &mut sender, "rtm.connect", &token, &json!({})).await;
        let web::Outcome::Answered(_, body) = answered else { return None };
        let answer: Value = serde_json::from_slice(&body).ok()?;
        let url = answer["url"].as_str()?.to_owned();
        let stream = self.person.connect().await?;
        self.person.upgrade(url, stream).await
    }

    async fn live(&mut self, mut socket: Socket) {
        let (mut ear, mut hello) = (Ear::new(&self.person), false);
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        loop {
            if hello && (self.act(&mut socket).await.is_none() || self.hang_up) {
                return;
            }
            let wait = self.person.until_next().filter(|_| hello).unwrap_or(SILENCE);
            match ear.listen(&self.person, &mut socket, wait).await {
                Heard::Message(Message::Text(text)) => {
                    self.person.hears(text.as_bytes());
                    let frame = match sense::rtm(&self.person.who(), &text) {
                        Ok(frame) => frame,
                        Err(violation) => return self.person.world.violate(violation),
                    };
                    hello |= frame["type"] == "hello";
                    self.hear(&frame, &mut last);
                }
                Heard::Over => return,
                Heard::Message(_) | Heard::Nothing => {}
            }
        }
    }

    async fn act(&mut self, socket: &mut Socket) -> Option<()> {
        while self.open.len() < 4
            && let Some(deed) = self.person.next_deed()
        {
            self.person.world.count_deed(deed.what.name());
            match deed.what {
                Do::Reconnect => self.hang_up = true,
                Do::Typing { channel } => {
                    let channel = self.person.channel(channel)?;
                    self.person.types(&channel);
                    self.say(socket, &json!({ "type": "typing", "channel": channel })).await?;
                }
                Do::Flood { channel, count } => {
                    for _ in 0..count {
                        self.post(socket, channel, 6, None).await?;
                    }
                }
                Do::Post { channel, words, mention, .. } => {
                    self.post(socket, channel, words, mention).await?
                }
                _ => {}
            }
        }
        Some(())
    }

    async fn post(
        &mut self,
        socket: &mut Socket,
        channel: usize,
        words: usize,
        mention: Option<usize>,
    ) -> Option<()> {
        let Some(channel) = self.person.channel(channel) else { return Some(()) };
        let (text, key) = (self.person.text(words, mention), self.person.key());
        self.asked += 1;
        self.person.sends(&key, RTM_POST, &channel, Some(&text), None);
        self.person.world.count("commands", 1);
        let frame = json!({ "id": self.asked, "type": "message", "channel": channel, "text": text });
        self.open.insert(self.asked, Waiting { key, channel });
        self.say(socket, &frame).await
    }

    async fn say(&self, socket: &mut Socket, frame: &Value) -> Option<()> {
        let sending = socket.send(Message::text(frame.to_string()));
        self.person.host.timeout(PATIENCE, sending).await.ok()?.ok()
    }

    fn hear(&mut self, frame: &Value, last: &mut BTreeMap<String, u64>) {
        if let Some(id) = frame["reply_to"].as_u64() {
            return self.answered(id, frame);
        }
        if let ("user_typing", Some(channel), Some(user)) =
            (frame["type"].as_str().unwrap_or_default(), frame["channel"].as_str(), frame["user"].as_str())
        {
            self.person.hears_typing(channel, user);
        }
        if frame["type"] == "goodbye" {
            self.hang_up = true;
        }
        let plain = frame["type"] == "message" && frame["subtype"].is_null();
        let (channel, us) = (frame["channel"].as_str(), frame["ts"].as_str().and_then(ts::parse));
        if let (true, Some(channel), Some(us)) = (plain, channel, us) {
            self.person.world.count("deliveries", 1);
            let [sender, text] = ["user", "text"].map(|of| frame[of].as_str().unwrap_or_default());
            self.person.oracle.told(Told {
                client: self.person.number,
                channel: self.person.name_of(channel),
                us,
                sender: sender.to_owned(),
                text: text_hash(text),
            });
            let before = last.insert(channel.to_owned(), us).unwrap_or(0);
            if us <= before {
                let detail = format!("{} was shown {us} of {channel} after {before}", self.person.who());
                self.person.world.violate(crate::promises::in_order::PROMISE.broken(detail));
            }
        }
    }

    fn answered(&mut self, id: u64, frame: &Value) {
        let Some(waiting) = self.open.remove(&id) else { return };
        if let (true, Some(us)) = (frame["ok"] == true, frame["ts"].as_str().and_then(ts::parse)) {
            return self.person.acked(&waiting.key, us, None);
        }
        let code = frame["error"]["msg"].as_str().unwrap_or("internal_error").to_owned();
        let passing = ["service_unavailable", "internal_error", "ratelimited"].contains(&code.as_str())
            || code.starts_with("busy");
        let refusal = Refusal { code: &code, unknown: passing, again: None };
        if passing {
            // Without a key it cannot be asked again.
            self.person.world.count_refusal(&code);
            return self.person.oracle.given_up(&waiting.key, &code, true);
        }
        let _over = self.person.refused(&waiting.key, &refusal, true, (RTM_POST, &waiting.channel, true));
    }
}
