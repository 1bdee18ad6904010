//! Faults as data: what can go wrong, where, how much and for how long.
//!
//! A fault names a site or a client by its number. It is carried out by [`crate::stage::Stage`]; one that lasts
//! heals by itself after its time, and all of them when the weather clears.

mod strike;

use cluster::host::FaultPoint;
use serde::{Deserialize, Serialize};

/// How a store lies about an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lie {
    /// It was applied, and the answer is lost.
    AppliedUnheard,
    /// It was not applied, and no answer says so.
    Lost,
    /// No answer comes; it is applied a while later, after others may have been.
    Late,
    /// It is applied, answered, and a copy of the request arrives again later.
    Twice,
}

/// Who does not get through to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Way {
    /// Neither.
    Both,
    /// The first to the second.
    There,
    /// The second to the first.
    Back,
}

/// One fault. Times are virtual milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields say it: which site or client, how much, for how long")]
pub enum Fault {
    /// `kill -9`, and a restart after a while.
    Crash { site: usize, down_ms: u64 },
    /// The same in the middle of something: at the n-th passage of a fault point.
    CrashAt { site: usize, point: usize, passage: u64, power: bool, down_ms: u64 },
    /// An actor, or a task that it started, panics at the n-th passage of one of [`PANICS`], and so many times more at
    /// the next ones.
    PanicAt { site: usize, point: usize, passage: u64, more: u64 },
    /// It dies again and again while it starts.
    CrashLoop { site: usize, times: u64 },
    /// The power goes: what was not synced is lost, torn, or reordered.
    PowerCut { site: usize, down_ms: u64 },
    /// Room for so many more blocks of 4 KiB, then none.
    FullDisk { site: usize, blocks: u64, for_ms: u64 },
    /// Every access takes up to this long.
    SlowDisk { site: usize, access_ms: u64, for_ms: u64 },
    /// After so many changes every write fails, or only every sync, until the power has been cut.
    BrokenDisk {
        site: usize,
        changes: u64,
        #[serde(default)]
        only_syncs: bool,
        for_ms: u64,
    },
    /// When all is over some bytes of the file are flipped: every log must be right or be named damaged.
    BitRot { site: usize, flips: usize },
    /// The machine stops and goes on.
    Pause { site: usize, for_ms: u64 },
    /// Its wall clock jumps.
    ClockStep { site: usize, by_ms: i64 },
    /// Its clock runs at another rate from now on.
    ClockDrift { site: usize, ppm: i64 },
    /// A client and its server do not reach each other; nothing is said about it.
    Cut { client: usize, way: Way, for_ms: u64 },
    /// The same for longer than anybody waits: both ends hold a connection that is none.
    HalfOpen { client: usize, for_ms: u64 },
    /// Everything between them takes up to this long.
    Delay { client: usize, late_ms: u64, for_ms: u64 },
    /// Their connections are reset.
    Reset { client: usize },
    /// The client's machine stops and goes on.
    ClientPause { client: usize, for_ms: u64 },
    /// The client stops reading.
    SlowReader { client: usize, for_ms: u64 },
    /// Every connection of a site is reset at once.
    Storm { site: usize },
    /// Connections that never say a proper word.
    Strangers { site: usize, count: usize },
    /// The store takes up to this long for each call.
    SlowStore { site: usize, late_ms: u64, for_ms: u64 },
    /// One append in so many is lied about.
    LyingStore { site: usize, lie: Lie, one_in: u64, for_ms: u64 },
    /// The store says that it has no place in its queue.
    Throttled { site: usize, one_in: u64, for_ms: u64 },
    /// The store refuses everything.
    Refused { site: usize, for_ms: u64 },
    /// Two nodes do not reach each other.
    LinkCut { one: usize, other: usize, way: Way, for_ms: u64 },
    /// What goes between two nodes is lost and sent again: one piece in so many is late by up to a second.
    LossyLink { one: usize, other: usize, one_in: u64, for_ms: u64 },
    /// A second node starts in the place of the first, which is only frozen and comes back.
    Takeover { site: usize, frozen_ms: u64 },
    /// A node is stopped as an operator stops it, and started again after a while.
    Stop { site: usize, down_ms: u64 },
    /// Two nodes of a cell do not reach each other, or one of them its store; seats of the site are numbered, the last
    /// one is the store's.
    CellCut { site: usize, one: usize, other: usize, way: Way, for_ms: u64 },
    /// What goes between the two is late, and one piece in so many lost and sent again.
    GrayLink { site: usize, one: usize, other: usize, one_in: u64, late_ms: u64, for_ms: u64 },
}

/// Where an actor is made to panic: in code that a supervisor looks after.
pub const PANICS: &[FaultPoint] = &[
    FaultPoint::BeforeLoad,
    FaultPoint::Loaded,
    FaultPoint::BeforeAppend,
    FaultPoint::BetweenAppendAndAck,
    FaultPoint::BetweenAckAndFanOut,
    FaultPoint::OutcomeUnknown,
    FaultPoint::BatchRefused,
    FaultPoint::NotWritten,
    FaultPoint::VerifyClaim,
    FaultPoint::BucketOpened,
    FaultPoint::BeforeFollowUp,
    FaultPoint::AfterFollowUp,
    FaultPoint::Subscribed,
    FaultPoint::ReplayRead,
    FaultPoint::Transient,
];

/// What a fault is called and what it does.
pub struct Kind {
    /// As counters and swarms name it.
    pub name: &'static str,
    /// In a sentence.
    pub about: &'static str,
}

macro_rules! kinds {
    ($($variant:ident $name:literal $about:literal;)+) => {
        /// Every kind of fault.
        pub const KINDS: &[Kind] = &[$(Kind { name: $name, about: $about }),+];

        impl Fault {
            /// The kind of this fault.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name),+ }
            }
        }
    };
}

kinds! {
    Crash "crash" "a node's process is killed and restarted";
    CrashAt "crash-at" "a node dies at a named point between two steps";
    PanicAt "panic-at" "an actor panics at a named point, once or again and again";
    CrashLoop "crash-loop" "a node dies again and again while it starts";
    PowerCut "power-cut" "a machine loses its power, and its disk what was not synced";
    FullDisk "full-disk" "a disk has no room for a while";
    SlowDisk "slow-disk" "every access to a disk is slow for a while";
    BrokenDisk "broken-disk" "a disk breaks in the middle of a commit";
    BitRot "bit-rot" "bytes of a file at rest are flipped";
    Pause "pause" "a node stops for a while and goes on";
    ClockStep "clock-step" "a node's wall clock jumps";
    ClockDrift "clock-drift" "a node's clock runs fast or slow";
    Cut "cut" "a client and its node do not reach each other, both ways or one way";
    HalfOpen "half-open" "a connection is gone and neither end knows";
    Delay "delay" "everything between a client and its node is late";
    Reset "reset" "a client's connections are reset";
    ClientPause "client-pause" "a client stops for a while and goes on";
    SlowReader "slow-reader" "a client stops reading";
    Storm "storm" "everybody reconnects at once";
    Strangers "strangers" "connections that send nothing, or nonsense";
    SlowStore "slow-store" "the store answers late";
    LyingStore "lying-store" "the store's answers to appends are lost, early, late or doubled";
    Throttled "throttled" "the store says that it is busy";
    Refused "refused" "the store refuses everything";
    LinkCut "link-cut" "two nodes do not reach each other, both ways or one way";
    LossyLink "lossy-link" "a link between two nodes loses packets";
    Takeover "takeover" "a second node takes the place of one that is only frozen";
    Stop "stop" "a node is stopped in order: it hands over what it has, and goes";
    CellCut "cell-cut" "two nodes of a cell, or a node and the store, do not reach each other, both ways or one way";
    GrayLink "gray-link" "between two nodes of a cell, or a node and the store, everything is late and some is lost";
}

impl Fault {
    /// The site that it strikes, if it strikes one.
    pub fn site(&self) -> Option<usize> {
        match self {
            Self::Crash { site, .. }
            | Self::CrashAt { site, .. }
            | Self::PanicAt { site, .. }
            | Self::CrashLoop { site, .. }
            | Self::PowerCut { site, .. }
            | Self::FullDisk { site, .. }
            | Self::SlowDisk { site, .. }
            | Self::BrokenDisk { site, .. }
            | Self::BitRot { site, .. }
            | Self::Pause { site, .. }
            | Self::ClockStep { site, .. }
            | Self::ClockDrift { site, .. }
            | Self::Storm { site }
            | Self::Strangers { site, .. }
            | Self::SlowStore { site, .. }
            | Self::LyingStore { site, .. }
            | Self::Throttled { site, .. }
            | Self::Refused { site, .. }
            | Self::Takeover { site, .. }
            | Self::Stop { site, .. }
            | Self::CellCut { site, .. }
            | Self::GrayLink { site, .. } => Some(*site),
            _ => None,
        }
    }
    /// The client that it strikes, if it strikes one.
    pub fn client(&self) -> Option<usize> {
        match self {
            Self::Cut { client, .. }
            | Self::HalfOpen { client, .. }
            | Self::Delay { client, .. }
            | Self::Reset { client }
            | Self::ClientPause { client, .. }
            | Self::SlowReader { client, .. } => Some(*client),
            _ => None,
        }
    }
}
