//! People and bots of a simulated world: they stand outside of the product and speak to it over streams. Each is one
//! device of one person and does what its plan says, as soon as it can.

mod ear;
pub mod knows;
pub mod native;
pub mod rtm;
pub mod strangers;
pub mod web;

use crate::{
    oracle::{
        Oracle,
        book::{Command, Place},
        logs::text_hash,
    },
    plan::{Deed, Device},
    promises::{heard, tenants},
    stage::doors::Doors,
    world::{World, machine::MachineId, report::Violation, stream::SimStream},
};
use cluster::host::Host;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tungstenite::{client::IntoClientRequest, protocol::WebSocketConfig};

/// A client's end of a WebSocket.
type Socket = WebSocketStream<SimStream>;

/// Port on which nodes serve people.
pub const PORT: u16 = 80;
/// How long a client waits for an answer before it connects again.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Pause before connecting again.
pub const RECONNECT: Duration = Duration::from_millis(500);

/// Bytes that a client asks its socket for at once. The library clears them for each read: its 128 KiB were 40 % of
/// everything that a run did.
const READ_BYTES: usize = 1024;

/// Who a client is, where it stands, and what it will do.
pub struct Person {
    /// The world it lives in.
    pub world: World,
    /// Its machine.
    pub me: MachineId,
    /// Time and chance of its machine.
    pub host: Host,
    /// Where nodes that serve its workspace are found.
    pub doors: Doors,
    /// Its number in the plan.
    pub number: usize,
    /// How it connects.
    pub device: Device,
    /// Number of its workspace.
    pub tenant: usize,
    /// Id of its workspace.
    pub workspace: String,
    /// Its user.
    pub user: String,
    /// Its token, which may change.
    pub token: Arc<Mutex<String>>,
    /// Conversations of the workspace, by their number in the plan.
    pub channels: Vec<String>,
    /// Those in which its membership may change, or never began.
    pub moves: BTreeSet<String>,
    /// Users of the workspace, by their number in the plan.
    pub users: Vec<String>,
    /// What it does.
    pub deeds: Arc<Mutex<VecDeque<Deed>>>,
    /// How long an owner that was replaced may go on answering from what it knows: not at all where nobody else can
    /// have its store.
    pub stale_max: Duration,
    /// How many answers it waits for.
    pub busy: Arc<AtomicUsize>,
    /// Who watches.
    pub oracle: Oracle,
    /// A token that is known to be revoked, and the world time from which on.
    pub revoked: Arc<Mutex<Option<(String, Duration)>>>,
    /// It reads nothing before this world time, in nanoseconds.
    pub deaf_until: Arc<AtomicU64>,
    /// Does not ask again what was refused as not applied.
    pub gives_up: bool,
}

/// What a refusal means for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask again after this long.
    Again(Duration),
    /// It is over.
    Over,
}

impl Person {
    /// The next deed whose time has come.
    pub fn next_deed(&self) -> Option<Deed> {
        let mut deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        let due = deeds.front().is_some_and(|deed| Duration::from_millis(deed.at_ms) <= self.world.now());
        due.then(|| deeds.pop_front()).flatten()
    }
    /// Time until the next deed is due; `None` when there is none.
    pub fn until_next(&self) -> Option<Duration> {
        let deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Duration::from_millis(deeds.front()?.at_ms);
        Some(at.saturating_sub(self.world.now()))
    }
    /// Nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
    /// Its token now.
    pub fn token(&self) -> String {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Since when this token is known to be revoked.
    pub fn revoked_since(&self, token: &str) -> Option<Duration> {
        let revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        revoked.as_ref().filter(|(revoked, _)| revoked == token).map(|(_, since)| *since)
    }
    /// A connection to the node.
    pub async fn connect(&self) -> Option<SimStream> {
        let server = self.doors.pick(self.host.entropy());
        self.world.count("visits", 1);
        let connecting = self.world.connect(self.me, server, PORT);
        self.host.timeout(PATIENCE, connecting).await.ok()?.ok()
    }
    /// Makes a WebSocket of a connection.
    async fn upgrade(&self, request: impl IntoClientRequest + Unpin, stream: SimStream) -> Option<Socket> {
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        let upgrading = client_async_with_config(request, stream, Some(config));
        let (socket, _) = self.host.timeout(PATIENCE, upgrading).await.ok()?.ok()?;
        Some(socket)
    }
    /// How long it will still read nothing.
    pub fn deaf_for(&self) -> Option<Duration> {
        let until = Duration::from_nanos(self.deaf_until.load(Relaxed));
        let left = until.saturating_sub(self.world.now());
        (!left.is_zero()).then_some(left)
    }
    /// The name under which the oracle knows a channel.
    pub fn name_of(&self, channel: &str) -> String {
        format!("{}/{channel}", self.workspace)
    }
    /// A channel's id by its number in the plan.
    pub fn channel(&self, number: usize) -> Option<String> {
        self.channels.get(number).cloned()
    }
    /// A fresh idempotency key: UUIDv7 (RFC 9562, section 5.7) by the client's own clock.
    pub fn key(&self) -> String {
        let ms = self.host.now_us() / 1000;
        let random = [(); 2].map(|()| self.host.entropy().next_u64());
        let (a, b, c) = (ms >> 16, ms & 0xffff, random[0] & 0xfff);
        let (d, e) = (0x8000 | (random[0] >> 50), random[1] & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-7{c:03x}-{d:04x}-{e:012x}")
    }
    /// Something to say: the workspace's tag, words, maybe a name.
    pub fn text(&self, words: usize, mention: Option<usize>) -> String {
        let mut text = tenants::tag(self.tenant);
        for _ in 0..words.max(1) {
            // Writing to a string does not fail.
            let _ = std::fmt::Write::write_fmt(
                &mut text,
                format_args!(" {:x}", self.host.entropy().below(1 << 24)),
            );
        }
        if let Some(user) = mention.and_then(|person| self.users.get(person)) {
            let _ = std::fmt::Write::write_fmt(&mut text, format_args!(" <@{user}>"));
        }
        text
    }
    /// Tells the world of a broken promise.
    pub fn judge(&self, verdict: Result<(), Violation>) {
        if let Err(violation) = verdict {
            self.world.violate(violation);
        }
    }
    /// Bytes that came over the connection.
    pub fn hears(&self, bytes: &[u8]) {
        self.judge(tenants::seen(self.number, self.tenant, bytes));
    }
    /// It types.
    fn types(&self, channel: &str) {
        self.oracle.typed(&self.name_of(channel), &self.user);
    }
    /// It is shown that somebody types.
    fn hears_typing(&self, channel: &str, user: &str) {
        self.judge(tenants::typing(&self.oracle.book(), self.number, &self.name_of(channel), user));
    }
    /// A command goes out for the first time.
    pub fn sends(
        &self,
        key: &str,
        kind: &'static str,
        channel: &str,
        text: Option<&str>,
        deletes: Option<u64>,
    ) {
        let command = Command {
            channel: self.name_of(channel),
            sender: self.user.clone(),
            kind,
            text: text.map(text_hash),
            deletes,
            sent: self.world.now(),
            acked: None,
            given_up: None,
        };
        self.world.tell(|| format!("{} sends a {kind} to {channel}", self.who()));
        self.oracle.sent(key, command);
    }
    /// It was acknowledged.
    pub fn acked(&self, key: &str, us: u64, seq: Option<u64>) {
        self.world.count("messages", 1);
        self.world.note(Some(self.me), "acked", [seq.unwrap_or(0), us], key);
        self.world.tell(|| match seq {
            Some(seq) => format!("{} is told that it stands at {seq}", self.who()),
            None => format!("{} is told that it stands", self.who()),
        });
        self.judge(self.oracle.acked(key, Place { us, seq }, self.world.now()));
    }
    /// It was refused. `again`: the refusal names a delay. `first`: no earlier try of it is open.
    pub fn refused(
        &self,
        key: &str,
        refusal: &Refusal<'_>,
        first: bool,
        about: (&'static str, &str, bool),
    ) -> Verdict {
        self.world.count("client.refused", 1);
        self.world.count_refusal(refusal.code);
        self.world.note(Some(self.me), "refused", [0, 0], refusal.code);
        let (kind, channel, plain) = about;
        let passing = refusal.again.is_some() || refusal.unknown;
        if passing && !(self.gives_up && !refusal.unknown && refusal.code == "service_unavailable") {
            let delay = refusal.again.unwrap_or_default().max(Duration::from_millis(100));
            return Verdict::Again(delay);
        }
        if !passing {
            let moves = self.moves.contains(channel);
            self.judge(heard::refused(self.number, kind, refusal.code, moves, plain));
        }
        self.world.tell(|| format!("{} is refused with {} and lets it be", self.who(), refusal.code));
        self.oracle.given_up(key, refusal.code, !first || refusal.unknown);
        Verdict::Over
    }
    /// How the story calls it.
    pub fn who(&self) -> String {
        let device = match self.device {
            Device::Proto | Device::Json => "app",
            Device::Rtm => "RTM bot",
            Device::Web => "script",
        };
        format!("{} of {} ({device} {})", self.user, self.workspace, self.number)
    }
}

/// A refusal as a client hears it.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// The error string.
    pub code: &'a str,
    /// It may have been done all the same.
    pub unknown: bool,
    /// When to ask again.
    pub again: Option<Duration>,
}
