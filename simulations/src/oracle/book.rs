//! What the oracle writes down.

use super::logs::Print;
use proto::v1::Event;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The kind of a message that a bot sends over RTM: no key of its own is in the log.
pub const RTM_POST: &str = "RTM post";

/// Where an acknowledged command stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Time of its event.
    pub us: u64,
    /// `None`: the answer named no seq (the Web API's do not).
    pub seq: Option<u64>,
}

impl Place {
    /// The answer said that there was nothing to do.
    pub fn is_nowhere(&self) -> bool {
        self.us == 0 && self.seq.is_none()
    }
}

/// A command of a client.
#[derive(Debug, Clone)]
pub struct Command {
    /// Workspace and channel.
    pub channel: String,
    /// User.
    pub sender: String,
    /// Kind of deed.
    pub kind: &'static str,
    /// Hash of the text, for those that have one.
    pub text: Option<u64>,
    /// The message that it deletes.
    pub deletes: Option<u64>,
    /// World time at which it was first sent.
    pub sent: Duration,
    /// Its place, and when the client heard of it.
    pub acked: Option<(Place, Duration)>,
    /// Refused for good: the code, and whether it may have been done all the same.
    pub given_up: Option<(String, bool)>,
}

impl Command {
    /// It says something or takes it away: there is always something to do.
    pub fn is_of_words(&self) -> bool {
        self.text.is_some() || self.deletes.is_some()
    }
    /// Neither answered nor given up.
    pub fn is_open(&self) -> bool {
        self.acked.is_none() && self.given_up.is_none()
    }
}

/// A run of events without a gap.
#[derive(Debug, Clone)]
pub struct Run {
    /// The seq before the first one.
    pub from: u64,
    /// A print of each.
    pub prints: Vec<Print>,
}

/// What one client was shown of one channel: runs, the last of which goes on. A new one begins where the user joined
/// again.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// In order; none while the user's own log has told of a join and nothing of the channel has come yet.
    pub runs: Vec<Run>,
    /// The first run began with an event, and no welcome had said from where.
    pub unannounced: bool,
    /// Joins that the user's own log has told of, at which a run may begin.
    begins: Vec<u64>,
}

impl Shown {
    /// The channel is followed, or was.
    pub fn has_begun(&self) -> bool {
        !self.runs.is_empty()
    }
    /// The last seq that was shown.
    pub fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.from + run.prints.len() as u64)
    }
    /// A run may begin with this seq: the user joined there.
    pub fn may_begin_at(&mut self, seq: u64) {
        self.begins.push(seq);
    }
    /// Whether the user joined at this seq, as far as its own log has said.
    pub fn begins(&self, seq: u64) -> bool {
        self.begins.contains(&seq)
    }
    /// A new run, after this seq.
    pub fn jump(&mut self, from: u64) {
        self.runs.push(Run { from, prints: Vec::new() });
    }
    /// The next event.
    pub fn take(&mut self, event: &Event) {
        if let Some(run) = self.runs.last_mut() {
            run.prints.push(Print::of(event));
        }
    }
}

/// A message as RTM shows it: without its seq and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who was shown it.
    pub client: usize,
    /// Workspace and channel.
    pub channel: String,
    /// Its time.
    pub us: u64,
    /// User.
    pub sender: String,
    /// Hash of its text.
    pub text: u64,
}

/// Everything that was heard.
#[derive(Debug, Default)]
pub struct Book {
    /// By idempotency key.
    pub commands: BTreeMap<String, Command>,
    /// By client, then workspace and channel.
    pub shown: BTreeMap<usize, BTreeMap<String, Shown>>,
    /// What bots were shown over RTM.
    pub told: Vec<Told>,
    /// What pages held, by workspace and channel: each seq, and what stood there.
    pub pages: BTreeMap<String, BTreeSet<(u64, Print)>>,
    /// Who was given a page of what: client, workspace and channel.
    pub readers: BTreeSet<(usize, String)>,
    /// Words that went out without a key, and where: workspace and channel, hash.
    pub unkeyed: BTreeSet<(String, u64)>,
    /// Who ever typed: workspace and channel, user.
    pub typed: BTreeSet<(String, String)>,
    /// Deletions that were acknowledged, by workspace and channel: each message, and when.
    pub deleted: BTreeMap<String, BTreeMap<u64, Duration>>,
}
