//! Commands that wait for a row, per message, in the order in which they came.

use super::load::Row;
use crate::command::Command;
use crate::gate::Admitted;
use crate::store::StoreError;
use crate::subject::Need;
use proto::ts::Micros;
use std::collections::{BTreeMap, VecDeque};

/// A command and who waits for it.
type Parked = (Command, Admitted);

/// Commands about one message, and the read that they wait for.
#[derive(Default)]
struct Line {
    commands: VecDeque<Parked>,
    /// Number of the read; 0 before there is one.
    read: u64,
}

/// Parked commands by the message they are about, and needs that wait for durability. Bounded by the channel's gate.
#[derive(Default)]
pub(crate) struct Parking {
    lines: BTreeMap<Micros, Line>,
    delayed: Vec<(u64, Need)>,
    /// Rows that were read and may know more than memory, until the batch under way is back; each with its read.
    pub(super) ahead: Vec<(u64, Need, Result<Row, StoreError>)>,
    reads: u64,
}

impl Parking {
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
    /// Whether commands about this message have to queue.
    pub(crate) fn holds(&self, us: Micros) -> bool {
        self.lines.contains_key(&us)
    }
    /// Last in the line of a message.
    pub(crate) fn push(&mut self, us: Micros, command: Command, reply: Admitted) {
        self.lines.entry(us).or_default().commands.push_back((command, reply));
    }
    /// Back to the head of the line, and the rest of the line behind it.
    pub(crate) fn push_front(&mut self, us: Micros, first: Parked, rest: VecDeque<Parked>) {
        let line = &mut self.lines.entry(us).or_default().commands;
        line.push_front(first);
        line.extend(rest);
    }
    /// A line begins to wait for a read: its number. What an earlier read brings is not waited for any more.
    pub(crate) fn reading(&mut self, us: Micros) -> u64 {
        self.reads += 1;
        self.lines.entry(us).or_default().read = self.reads;
        self.reads
    }
    /// The whole line that waited for this read of a message's row. `None` when nobody does: rows that were read
    /// before the log was loaded again, or before another read brought them, may be older than what memory had.
    pub(crate) fn take(&mut self, us: Micros, read: u64) -> Option<VecDeque<Parked>> {
        let waits = self.lines.get(&us).is_some_and(|line| line.read == read);
        if waits { self.lines.remove(&us).map(|line| line.commands) } else { None }
    }
    /// Every line, for starting over.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Parked> + use<> {
        self.delayed.clear();
        self.ahead.clear();
        std::mem::take(&mut self.lines).into_values().flat_map(|line| line.commands)
    }
    /// A need that may only be read once the store has everything up to `seq`.
    pub(crate) fn delay(&mut self, seq: u64, need: Need) {
        self.delayed.push((seq, need));
    }
    /// Needs that may be read now.
    pub(crate) fn due(&mut self, durable: u64) -> Vec<Need> {
        let (due, later) =
            std::mem::take(&mut self.delayed).into_iter().partition(|(seq, _)| *seq <= durable);
        self.delayed = later;
        let due: Vec<(u64, Need)> = due;
        due.into_iter().map(|(_, need)| need).collect()
    }
}
