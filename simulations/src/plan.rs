//! A plan: everything that will happen in a world of weather, as data. Who lives there, what each of them does and
//! when, and what goes wrong and when.
//!
//! The plan is drawn from the seed before anything runs, and every component draws its own chance from a stream of its
//! own. So a fault, a deed or a whole node can be taken out of a plan and the rest stays what it was: that is what
//! shrinking does. A plan that once failed can be kept as a file and run again whatever the drawing has become.

pub mod draw;
pub mod workload;

use crate::{
    faults::Fault,
    world::{clock::Skew, machine::Hardware, network::Latency},
};
use proto::frame::WireForm;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Everything that will happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name of the workload that it was drawn from.
    pub workload: String,
    /// Nodes, each with a machine and a disk.
    pub sites: Vec<Site>,
    /// Workspaces; never fewer than three, unless shrunk.
    pub workspaces: Vec<Workspace>,
    /// Everybody who connects.
    pub clients: Vec<Client>,
    /// What they do, in the order of time.
    pub deeds: Vec<Deed>,
    /// What goes wrong, in the order of time.
    pub faults: Vec<Timed>,
    /// When the weather clears and nobody starts anything new, ms.
    pub clears_at_ms: u64,
    /// Limits of the product that are set tight, so that they are reached.
    pub tight: bool,
}

/// A node, or a cell of several, and what it stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its clock runs ahead by this, microseconds.
    pub offset_us: i64,
    /// And faster by this, parts per million.
    pub drift_ppm: i64,
    /// Its store is on a machine of its own, which outlives the node; a second node may take over.
    pub remote_store: bool,
    /// Longest time that its disk takes when it is well, ms.
    #[serde(default = "quick_access_ms")]
    pub access_ms: u64,
    /// Its nodes. Several share the store, over links.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub nodes: usize,
}

/// Most sites are a node by itself.
fn one() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_one(nodes: &usize) -> bool {
    *nodes == 1
}

/// Of a disk that nobody has to wait for.
fn quick_access_ms() -> u64 {
    2
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workspace {
    /// The site that serves it.
    pub site: usize,
    /// How many people it has. Person 0 is an admin, and in every channel.
    pub people: usize,
    /// Its channels.
    pub channels: Vec<Channel>,
}

/// A conversation that is there from the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// First members, by their number; person 0 always is.
    pub members: Vec<usize>,
    /// Closed to those who are not invited.
    pub private: bool,
    /// Members who never connect.
    pub silent_members: usize,
    /// Messages that were posted before anybody came.
    pub aged: usize,
}

/// How somebody is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Device {
    /// Native protocol, protobuf.
    Proto,
    /// Native protocol, JSON.
    Json,
    /// Slack's RTM.
    Rtm,
    /// Slack's Web API, no socket.
    Web,
}

/// One connection of a person. Several may belong to one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Workspace.
    pub workspace: usize,
    /// Person in it.
    pub person: usize,
    /// How it connects.
    pub device: Device,
}

/// Something that somebody does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// When, ms.
    pub at_ms: u64,
    /// Who.
    pub client: usize,
    /// What.
    pub what: Do,
}

/// What people do. Messages are named by how far back they lie among those that the client knows when it acts; where
/// there is none, nothing is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields say it: where, how far back, how much")]
pub enum Do {
    /// Writes a message, in a thread if `thread` names one.
    Post { channel: usize, words: usize, thread: Option<usize>, broadcast: bool, mention: Option<usize> },
    /// Writes many at once.
    Flood { channel: usize, count: usize },
    /// Changes an own message.
    Edit { channel: usize, back: usize, words: usize },
    /// Deletes an own message.
    Delete { channel: usize, back: usize },
    /// Reacts to any message.
    React { channel: usize, back: usize, emoji: usize },
    /// Takes a reaction back.
    Unreact { channel: usize, back: usize, emoji: usize },
    /// Says that it has read up to a message; far back, it marks unread.
    Mark { channel: usize, back: usize },
    /// Types.
    Typing { channel: usize },
    /// Joins.
    Join { channel: usize },
    /// Leaves.
    Leave { channel: usize },
    /// An admin brings somebody in.
    Invite { channel: usize, person: usize },
    /// An admin puts somebody out.
    Kick { channel: usize, person: usize },
    /// Opens the direct conversation with somebody and says hello.
    Direct { person: usize },
    /// Asks for a part of the log.
    Range { channel: usize, back: u64, limit: u32 },
    /// Reads a page of history by the Web API.
    History { channel: usize, limit: usize },
    /// A script looks something up by the Web API, or makes a mistake; `what` counts through all that there is.
    Look { what: usize, channel: usize, person: usize, back: usize },
    /// Stops following a channel and goes on a moment later, from where it was.
    Pause { channel: usize },
    /// An operator runs an admin verb; `what` counts through all that there are.
    Administer { what: usize, channel: usize, person: usize },
    /// Drops the connection and comes back.
    Reconnect,
    /// Sends an acknowledged command once more, blindly, under its key; or another text under it.
    Again { changed: bool, back: usize },
    /// Sends something that is no frame.
    Nonsense { kind: usize },
    /// Ends the own token: the next sign-in gets another one.
    Revoke,
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// When, ms.
    pub at_ms: u64,
    /// What.
    pub what: Fault,
}

impl Plan {
    /// When the weather clears.
    pub fn clears_at(&self) -> Duration {
        Duration::from_millis(self.clears_at_ms)
    }
    /// As a file.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
    /// From a file.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Site {
    /// Several nodes share the store.
    pub fn is_cell(&self) -> bool {
        self.nodes > 1
    }
    /// What each of its nodes runs on.
    pub fn hardware(&self) -> Hardware {
        let skew = Skew { offset_us: self.offset_us, drift_ppm: self.drift_ppm };
        Hardware { skew, blocking: self.access(), ..Hardware::default() }
    }
    /// How long its disk takes when it is well.
    pub fn access(&self) -> Latency {
        (Duration::from_micros(100), Duration::from_millis(self.access_ms))
    }
}

impl Device {
    /// The form of its frames; `None` without a native socket.
    pub fn form(self) -> Option<WireForm> {
        match self {
            Self::Proto => Some(WireForm::Proto),
            Self::Json => Some(WireForm::Json),
            Self::Rtm | Self::Web => None,
        }
    }
}

macro_rules! names {
    ($($variant:ident $name:literal;)+) => {
        impl Do {
            /// Every kind of deed.
            pub const NAMES: &[&str] = &[$($name),+];

            /// The kind of this deed, as counters name it.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name),+ }
            }
        }
    };
}

names! {
    Post "post";
    Flood "flood";
    Edit "edit";
    Delete "delete";
    React "react";
    Unreact "unreact";
    Mark "mark";
    Typing "typing";
    Join "join";
    Leave "leave";
    Invite "invite";
    Kick "kick";
    Direct "direct";
    Range "range";
    History "history";
    Look "look";
    Pause "pause";
    Administer "administer";
    Reconnect "reconnect";
    Again "again";
    Nonsense "nonsense";
    Revoke "revoke";
}
