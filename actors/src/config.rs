//! Limits of the actors, each with its default; `waggle config --explain` prints these comments.

use serde::{Deserialize, Serialize};

/// Limits and addresses that actors need. Unknown keys are errors.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// URL under which users reach this cluster, with a trailing slash; feeds every URL handed out. Empty: the
    /// listening address.
    pub public_url: String,
    /// URL under which users reach this node alone, with a trailing slash: `rtm.connect` and the native `welcome` name
    /// the node that is a user's home. Empty: this node is nobody's home; `own`: the listening address, unless that is
    /// one of this machine only and the public URL is not (a node that listens on 0.0.0.0 has to be given a URL).
    pub gateway_url: String,
    /// Nodes on which the users of one workspace are at home: what a channel says goes to no more of them, as long
    /// as clients connect where they are told.
    pub gateways_per_workspace: usize,
    /// Most commands waiting in one channel; beyond it senders are told to try again.
    pub channel_pending_max: usize,
    /// Most commands waiting in one slot for a channel that is being loaded or started.
    pub slot_pending_max: usize,
    /// Events of a hot channel kept in memory for replays.
    pub channel_recent_max: usize,
    /// Message rows of a hot channel kept in memory for edits, reactions and threads.
    pub channel_rows_max: usize,
    /// A channel nobody writes to becomes passive after this long, in ms.
    pub channel_idle_ms: u64,
    /// Most connections of one node.
    pub sessions_max: usize,
    /// Commands and events waiting for one connection; when it overflows they are dropped and it resumes by cursor.
    pub session_mailbox_max: usize,
    /// Posts of one connection that may wait for their acknowledgement.
    pub posts_in_flight_max: usize,
    /// Channels that one connection may follow.
    pub follows_max: usize,
    /// The first frame must come within this long, in ms.
    pub hello_timeout_ms: u64,
    /// The server pings a quiet connection this often, in ms, and every third time one on which events flow; three
    /// unanswered pings close it.
    pub ping_interval_ms: u64,
    /// A write that does not finish within this long closes the connection, in ms.
    pub write_timeout_ms: u64,
    /// How far back a client can resume, in hours; the newest two buckets of a log are kept in any case.
    pub resume_window_hours: u64,
    /// Messages older than this are dropped, in hours. 0: kept for ever.
    pub retention_hours: u64,
    /// Owners tell followers the tails of channels that moved this often, in ms.
    pub beacon_interval_ms: u64,
    /// Messages waiting in a node's relay.
    pub relay_mailbox_max: usize,
    /// Hops of messages that a node remembers for `waggle cluster trace`, some five a message; 48 bytes each. 0: none.
    pub trace_hops_max: usize,
    /// A connect ticket is valid for this long, in ms.
    pub ticket_ms: u64,
    /// Connect tickets that may be waiting for use.
    pub tickets_max: usize,
    /// Characters of a message's text.
    pub text_chars_max: usize,
    /// Bytes of a message's blocks, attachments or metadata, each.
    pub json_bytes_max: usize,
    /// Edits of one message; each keeps a row that a deletion has to redact.
    pub message_edits_max: usize,
    /// Commands per second that one connection may send on average.
    pub rate_per_s: u32,
    /// Commands that one connection may send at once.
    pub rate_burst: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            public_url: String::new(),
            gateway_url: String::new(),
            gateways_per_workspace: 4,
            channel_pending_max: 4096,
            slot_pending_max: 4096,
            channel_recent_max: 1000,
            channel_rows_max: 1000,
            channel_idle_ms: 60_000,
            sessions_max: 100_000,
            session_mailbox_max: 128,
            posts_in_flight_max: 32,
            follows_max: 10_000,
            hello_timeout_ms: 10_000,
            ping_interval_ms: 10_000,
            write_timeout_ms: 30_000,
            resume_window_hours: 7 * 24,
            retention_hours: 0,
            beacon_interval_ms: 1000,
            relay_mailbox_max: 8192,
            trace_hops_max: 65_536,
            ticket_ms: 30_000,
            tickets_max: 100_000,
            text_chars_max: 40_000,
            json_bytes_max: 128 * 1024,
            message_edits_max: 1000,
            rate_per_s: 20,
            rate_burst: 60,
        }
    }
}
