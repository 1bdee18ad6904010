//! One step of the model, and the sentence that tells it in a counterexample.

use std::fmt;

/// One step. The first number is a node (0 or 1) unless said otherwise; keys and seqs count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A client's message, first attempt or retry, reaches a ready owner: node, key.
    Post(u8, u8),
    /// Two messages reach it together: node, keys.
    PostPair(u8, [u8; 2]),
    /// A gateway sends a first attempt, which then lies around: key.
    Mail(u8),
    /// The first attempt arrives: node, key.
    TakeMail(u8, u8),
    /// The owner reads the head and the rows of its window.
    Load(u8),
    /// The append lands and its answer arrives.
    Answer(u8),
    /// No answer came in time.
    TimeOut(u8),
    /// The timed-out append lands after all.
    LandLate(u8),
    /// The owner reads the head after an unknown outcome.
    ReadUnknown(u8),
    /// The owner sends the same batch again.
    Resend(u8),
    /// An append lands whose sender is gone: its place in the list.
    LandStray(u8),
    /// The node dies, or hears by gossip that it is not the owner; it comes back knowing nothing.
    Crash(u8),
    /// The node claims the home slot: membership is free to be wrong.
    Claim(u8),
    /// The same, but the node does not hear that it succeeded.
    ClaimUnheard(u8),
    /// The node reads in the slot row that it is the owner.
    Learn(u8),
    /// The owner freezes, copies its state to the other node and sends the compare-and-set of a planned move.
    AskMove(u8),
    /// That compare-and-set succeeds and both nodes hear of it.
    Moved(u8),
    /// It succeeds and nobody hears of it.
    MovedUnheard(u8),
    /// The old owner gives up waiting, reads the slot row and resumes or steps down.
    AbortMove(u8),
    /// An override moves the channel to the slot that counts lower.
    MoveHome,
    /// The gateway subscribes with its last contiguous seq.
    Subscribe(u8),
    /// Wrong variant only: the owner registers it, a turn after the snapshot.
    Register,
    /// An event reaches the gateway: seq.
    Receive(u8),
    /// The gateway's link breaks.
    BreakLink,
    /// The owner sends the view write of the next event.
    WriteView(u8),
    /// A view write lands, for the first or another time: seq.
    LandView(u8),
    /// `applied` moves up by one.
    Apply,
    /// Retention deletes the rows of the oldest closed bucket.
    Retain,
    /// Wrong variant only: the head of the newest bucket expires.
    ExpireHead,
    /// Wrong variant only: the owner re-reads its claim before the ack.
    Reread(u8),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Post(node, key) => write!(f, "node {node} takes message {key}"),
            Self::PostPair(node, [a, b]) => write!(f, "node {node} takes messages {a} and {b}"),
            Self::Mail(key) => write!(f, "a gateway sends message {key}"),
            Self::TakeMail(node, key) => {
                write!(f, "the first sending of message {key} reaches node {node}")
            }
            Self::Load(node) => write!(f, "node {node} reads the log"),
            Self::Answer(node) => write!(f, "the append of node {node} lands and is answered"),
            Self::TimeOut(node) => write!(f, "the append of node {node} times out"),
            Self::LandLate(node) => write!(f, "the timed-out append of node {node} lands"),
            Self::ReadUnknown(node) => write!(f, "node {node} reads the head to settle its append"),
            Self::Resend(node) => write!(f, "node {node} sends the same batch again"),
            Self::LandStray(_) => write!(f, "an append lands whose sender is gone"),
            Self::Crash(node) => write!(f, "node {node} crashes"),
            Self::Claim(node) => write!(f, "node {node} claims the slot"),
            Self::ClaimUnheard(node) => write!(f, "node {node} claims the slot without hearing it"),
            Self::Learn(node) => write!(f, "node {node} reads that the slot is its own"),
            Self::AskMove(node) => write!(f, "node {node} freezes to hand the slot over"),
            Self::Moved(node) => write!(f, "the slot moves from node {node}, its state with it"),
            Self::MovedUnheard(node) => write!(f, "the slot moves from node {node} unheard"),
            Self::AbortMove(node) => write!(f, "node {node} gives the move up"),
            Self::MoveHome => write!(f, "an override moves the channel to the other slot"),
            Self::Subscribe(node) => write!(f, "the gateway subscribes at node {node}"),
            Self::Register => write!(f, "the subscription is registered"),
            Self::Receive(seq) => write!(f, "seq {seq} reaches the gateway"),
            Self::BreakLink => write!(f, "the gateway's link breaks"),
            Self::WriteView(node) => write!(f, "node {node} sends a view write"),
            Self::LandView(seq) => write!(f, "the view write of seq {seq} lands"),
            Self::Apply => write!(f, "applied moves up"),
            Self::Retain => write!(f, "retention drops a bucket"),
            Self::ExpireHead => write!(f, "the head expires"),
            Self::Reread(node) => write!(f, "node {node} reads its claim again"),
        }
    }
}
