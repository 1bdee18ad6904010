//! What a run of the model contains: sizes and switches. Everything switched off cannot happen in it.

use super::variants::Variant;

/// Sizes and switches of one run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Name in reports.
    pub name: &'static str,
    /// The rules in force.
    pub variant: Variant,
    /// Messages, each with its idempotency key.
    pub keys: u8,
    /// Times that a client sends one message.
    pub sends_max: u8,
    /// Rows of a bucket.
    pub bucket_rows: u8,
    /// Epoch at which the first owner starts.
    pub epoch_first: u8,
    /// Highest epoch that claims and moves reach.
    pub epoch_max: u8,
    /// Whether batches of two are built.
    pub pairs: bool,
    /// Whether answers get lost and requests land late (F5).
    pub unknown: bool,
    /// Whether nodes crash.
    pub crash: bool,
    /// Whether first attempts may be appended on a guess (F4b).
    pub guess: bool,
    /// Whether a first attempt may lie around between its sending and its arrival.
    pub mail: bool,
    /// Buckets by which the clock of clients, who write the time into a key, runs ahead.
    pub skew: u8,
    /// Whether the first owner may hand the slot to the other.
    pub handoff: bool,
    /// Whether an override moves the channel to a slot that counts lower.
    pub moves_home: bool,
    /// Whether a gateway follows the channel.
    pub relay: bool,
    /// Whether a view is kept.
    pub view: bool,
    /// Whether retention runs.
    pub retention: bool,
    /// Properties of the kind "this is reached" that the run must show, lest it pass by doing nothing.
    pub reaches: &'static [&'static str],
}

impl Config {
    /// Two nodes, one of them owner under epoch 1, and nothing that goes wrong.
    pub const CALM: Self = Self {
        name: "calm",
        variant: Variant::Right,
        keys: 2,
        sends_max: 2,
        bucket_rows: 2,
        epoch_first: 1,
        epoch_max: 2,
        pairs: false,
        unknown: false,
        crash: false,
        guess: false,
        mail: false,
        skew: 0,
        handoff: false,
        moves_home: false,
        relay: false,
        view: false,
        retention: false,
        reaches: &[],
    };

    /// The same run under other rules.
    pub const fn under(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }
}
