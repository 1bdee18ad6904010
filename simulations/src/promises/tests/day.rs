//! A good day: two people on three devices and a bot, two channels, their own logs, and whatever people do.

use crate::{
    oracle::{
        Logs, Oracle,
        book::{Command, Place, RTM_POST, Told},
        logs::{self, text_hash},
    },
    promises,
    world::report::Violation,
};
use proto::v1::{self, Content, ConversationKind, Event, Page, event::Body};
use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

pub const C1: &str = "T1/C1";
pub const C2: &str = "T1/C2";
pub const WS: &str = "T1/ws:T1";
pub const U1: &str = "T1/user:U1";
pub const U2: &str = "T1/user:U2";

/// What the oracle heard, and the logs that are left.
pub struct Day {
    pub oracle: Oracle,
    logs: BTreeMap<String, Vec<Event>>,
    seconds: u64,
}

pub fn content(text: &str) -> Option<Content> {
    Some(Content { text: text.into(), ..Content::default() })
}
pub fn gone() -> Option<Content> {
    Some(Content { redacted: true, ..Content::default() })
}
pub fn post(text: &str) -> Body {
    Body::Posted(v1::Posted { content: content(text), ..v1::Posted::default() })
}
pub fn join(user: &str) -> Body {
    Body::Joined(v1::Joined { user: user.into(), inviter: String::new() })
}
pub fn leave(user: &str) -> Body {
    Body::Left(v1::Left { user: user.into(), by: String::new() })
}
/// What a user's own log tells of a join.
pub fn told(channel: &str, seq: u64) -> Body {
    let kind = ConversationKind::Public.into();
    Body::ConversationJoined(v1::ConversationJoined { channel: channel.into(), seq, kind })
}
fn added(user: &str) -> Body {
    Body::UserAdded(v1::UserAdded { user: user.into(), name: user.into(), ..v1::UserAdded::default() })
}

/// Gives a message or an edit other words.
pub fn say(event: &mut Event, content: Option<Content>) {
    match &mut event.body {
        Some(Body::Posted(posted)) => posted.content = content,
        Some(Body::Edited(edited)) => edited.content = content,
        other => panic!("{other:?} says nothing"),
    }
}

impl Day {
    /// All of it.
    ///
    /// Clients 0 and 2 are U1's, 1 and 3 are U2's. 0 and 1 are there all day, 2 comes in the middle, 3 is away while
    /// U2 leaves the first channel and comes back.
    pub fn good() -> Self {
        let mut day = Self { oracle: Oracle::default(), logs: BTreeMap::new(), seconds: 0 };
        day.founding();
        day.morning();
        day.evening();
        day
    }

    fn founding(&mut self) {
        let created = v1::WorkspaceCreated { name: "Test".into(), domain: "test".into() };
        self.writes(WS, "", "", Body::WorkspaceCreated(created));
        self.writes(WS, "", "", added("U1"));
        self.writes(WS, "", "", added("U2"));
        for (channel, members) in [("C1", &["U1", "U2"][..]), ("C2", &["U1"])] {
            let members: Vec<String> = members.iter().map(|user| (*user).to_owned()).collect();
            let (kind, name) = (ConversationKind::Public.into(), channel.to_lowercase());
            self.writes(
                WS,
                "U1",
                &format!("s-{channel}"),
                Body::ConversationAdded(v1::ConversationAdded {
                    channel: channel.into(),
                    name: name.clone(),
                    kind,
                    creator: "U1".into(),
                    members: members.clone(),
                }),
            );
            for user in &members {
                self.writes(&format!("T1/user:{user}"), "", &format!("joined:{channel}:1"), told(channel, 1));
            }
            let created = v1::Created { name, kind, members };
            self.writes(&format!("T1/{channel}"), "", "ws:1", Body::Created(created));
        }
        let follows = [(0, WS), (0, U1), (0, C1), (0, C2), (1, WS), (1, U2), (1, C1), (3, C1)];
        follows.iter().for_each(|(client, log)| self.oracle.follows(*client, log, 0).expect("it begins"));
    }

    fn morning(&mut self) {
        let hello = self.does(C1, "U1", "k-hello", post("hello"));
        self.does(C1, "U2", "k-well", post("well"));
        let edit = v1::Edited { target_us: hello, content: content("hello all") };
        self.does(C1, "U1", "k-edit", Body::Edited(edit));
        self.does(C1, "U2", "k-react", Body::Reacted(v1::Reacted { target_us: hello, name: "tada".into() }));
        let oops = self.does(C1, "U1", "k-oops", post("oops"));
        [0, 1].iter().for_each(|client| self.shows(*client, C1, 1..=6));
        self.shows(3, C1, 1..=2);
        [2, 3, 6].iter().for_each(|seq| self.tells(0, C1, *seq));
        self.does(C1, "U1", "k-delete", Body::Deleted(v1::Deleted { target_us: oops }));
        say(self.event(C1, 6), gone());
        self.does(C1, "U2", "k-leave", leave("U2"));
        let left = v1::ConversationLeft { channel: "C1".into(), seq: 8 };
        self.writes(U2, "", "left:C1:8", Body::ConversationLeft(left));
        [0, 1].iter().for_each(|client| self.shows(*client, C1, 7..=8));
    }

    fn evening(&mut self) {
        self.does(C1, "U1", "k-alone", post("alone"));
        self.refuse("k-refused", post("let me in"), false);
        self.does(C1, "U2", "k-back", join("U2"));
        self.writes(U2, "", "joined:C1:10", told("C1", 10));
        self.does(C1, "U2", "k-again", post("again"));
        let bot = Command { kind: RTM_POST, ..self.command(C1, "U1", &post("beep")) };
        self.oracle.sent("k-bot", bot);
        let us = self.writes(C1, "U1", "s-bot", post("beep"));
        self.hears("k-bot", Place { us, seq: None }).expect("it was sent");
        self.refuse("k-lost", post("lost"), true);
        self.writes(C1, "U2", "k-lost", post("lost"));
        self.does(C2, "U1", "k-first", post("first"));
        self.does(C2, "U2", "k-join", join("U2"));
        self.writes(U2, "", "joined:C2:3", told("C2", 3));
        self.does(C2, "U2", "k-there", post("there"));
        self.does(C2, "U1", "k-thanks", post("thanks"));
        self.sends(C1, "U1", "k-idle", &join("U1"));
        self.hears("k-idle", Place { us: 0, seq: None }).expect("it was sent");
        let (ws, own) = (self.tail(WS), self.tail(U2));
        [0, 1].iter().for_each(|client| self.shows(*client, WS, 1..=ws));
        self.shows(0, U1, 1..=self.tail(U1));
        self.shows(0, C1, 9..=13);
        self.shows(0, C2, 1..=5);
        self.shows(1, U2, 1..=own);
        self.shows(1, C2, 3..=5);
        self.shows(1, C1, 10..=13);
        for (client, from) in [(2, 6), (3, 9)] {
            self.oracle.follows(client, C1, from).expect("it goes on");
            self.shows(client, C1, from + 1..=13);
        }
        [11, 12, 13].iter().for_each(|seq| self.tells(1, C1, *seq));
        self.reads(C1, 7..=13, 13).expect("it is so");
    }

    /// Time passes.
    pub fn later(&mut self) -> Duration {
        self.seconds += 1;
        Duration::from_secs(self.seconds)
    }
    /// A command as a client would note it.
    pub fn command(&mut self, log: &str, sender: &str, body: &Body) -> Command {
        let (kind, text, deletes) = match body {
            Body::Posted(posted) => ("post", posted.content.as_ref(), None),
            Body::Edited(edited) => ("edit", edited.content.as_ref(), None),
            Body::Deleted(deleted) => ("delete", None, Some(deleted.target_us)),
            _ => ("other", None, None),
        };
        let text = text.map(|content| text_hash(&content.text));
        let (channel, sender, sent) = (log.to_owned(), sender.to_owned(), self.later());
        Command { channel, sender, kind, text, deletes, sent, acked: None, given_up: None }
    }
    /// A command is sent.
    pub fn sends(&mut self, log: &str, sender: &str, key: &str, body: &Body) {
        let command = self.command(log, sender, body);
        self.oracle.sent(key, command);
    }
    /// And is refused.
    fn refuse(&mut self, key: &str, body: Body, unknown: bool) {
        self.sends(C1, "U2", key, &body);
        self.oracle.given_up(key, "not_in_channel", unknown);
    }
    /// Something is written into a log; its time.
    pub fn writes(&mut self, log: &str, sender: &str, key: &str, body: Body) -> u64 {
        let us = 1_000_000 * self.later().as_secs();
        let events = self.logs.entry(log.to_owned()).or_default();
        let counts = events.last().map_or(0, |event| event.countable);
        events.push(Event {
            seq: events.len() as u64 + 1,
            us,
            epoch: 1,
            sender: sender.to_owned(),
            key: key.to_owned(),
            countable: counts + u64::from(matches!(body, Body::Posted(_))),
            body: Some(body),
            ..Event::default()
        });
        us
    }
    /// A command is sent, done and acknowledged; its time.
    pub fn does(&mut self, log: &str, sender: &str, key: &str, body: Body) -> u64 {
        self.sends(log, sender, key, &body);
        let us = self.writes(log, sender, key, body);
        let seq = Some(self.tail(log));
        self.hears(key, Place { us, seq }).expect("it was sent");
        us
    }
    /// An acknowledgement arrives.
    pub fn hears(&mut self, key: &str, place: Place) -> Result<(), Violation> {
        let now = self.later();
        self.oracle.acked(key, place, now)
    }
    /// Deliveries arrive, as the log has them.
    fn shows(&self, client: usize, log: &str, seqs: RangeInclusive<u64>) {
        for seq in seqs {
            self.shown(client, log, seq).expect("it is next");
        }
    }
    /// A delivery arrives, as the log has it.
    pub fn shown(&self, client: usize, log: &str, seq: u64) -> Result<(), Violation> {
        self.oracle.shown(client, log, &self.logs[log][seq as usize - 1])
    }
    /// A message of RTM, as the log has it.
    pub fn told_of(&self, client: usize, log: &str, seq: u64) -> Told {
        let event = &self.logs[log][seq as usize - 1];
        let text = text_hash(&logs::content(event).expect("a message").text);
        Told { client, channel: log.to_owned(), us: event.us, sender: event.sender.clone(), text }
    }
    /// It arrives.
    pub fn tells(&self, client: usize, log: &str, seq: u64) {
        self.oracle.told(self.told_of(client, log, seq));
    }
    /// A page arrives, as the log has it.
    pub fn reads(&mut self, log: &str, seqs: RangeInclusive<u64>, tail: u64) -> Result<(), Violation> {
        let events = seqs.map(|seq| self.logs[log][seq as usize - 1].clone()).collect();
        self.page(log, events, tail)
    }
    /// A page arrives.
    pub fn page(&mut self, log: &str, events: Vec<Event>, tail: u64) -> Result<(), Violation> {
        let now = self.later();
        self.oracle.page(0, log, now, &Page { channel: String::new(), events, tail })
    }
    /// An event of a log, to be bent.
    pub fn event(&mut self, log: &str, seq: u64) -> &mut Event {
        &mut self.log(log)[seq as usize - 1]
    }
    /// A log, to be bent.
    pub fn log(&mut self, log: &str) -> &mut Vec<Event> {
        self.logs.get_mut(log).expect("a log of this day")
    }
    /// A command, to be bent.
    pub fn bend(&self, key: &str, bend: impl FnOnce(&mut Command)) {
        bend(self.oracle.book().commands.get_mut(key).expect("a command of this day"));
    }
    /// The last seq of a log.
    pub fn tail(&self, log: &str) -> u64 {
        self.logs[log].len() as u64
    }
    /// The logs as the judges get them.
    pub fn logs(&self) -> Logs {
        let mut logs = Logs::default();
        self.logs.iter().for_each(|(name, events)| logs.add(name, events.clone()));
        logs
    }
    /// What is found at the end of the day.
    pub fn judge(&self) -> Result<(), Violation> {
        let user_of = |client: usize| ["U1", "U2"][client % 2].to_owned();
        promises::judge(&self.oracle.book(), &self.logs(), &user_of)
    }
}
