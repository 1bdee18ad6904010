//! Commands that wait for a row, per message, in the order in which they came.

use crate::command::Command;
use crate::gate::Admitted;
use crate::subject::Need;
use proto::ts::Micros;
use std::collections::{BTreeMap, VecDeque};

/// Parked commands by the message they are about, and needs that wait for durability. Bounded by the channel's gate.
#[derive(Default)]
pub(crate) struct Parking {
    parked: BTreeMap<Micros, VecDeque<(Command, Admitted)>>,
    delayed: Vec<(u64, Need)>,
}

impl Parking {
    pub(crate) fn is_empty(&self) -> bool {
        self.parked.is_empty()
    }
    /// Whether commands about this message have to queue.
    pub(crate) fn holds(&self, us: Micros) -> bool {
        self.parked.contains_key(&us)
    }
    /// Last in the line of a message.
    pub(crate) fn push(&mut self, us: Micros, command: Command, reply: Admitted) {
        self.parked.entry(us).or_default().push_back((command, reply));
    }
    /// Back to the head of the line, and the rest of the line behind it.
    pub(crate) fn push_front(
        &mut self,
        us: Micros,
        first: (Command, Admitted),
        rest: VecDeque<(Command, Admitted)>,
    ) {
        let line = self.parked.entry(us).or_default();
        line.push_front(first);
        line.extend(rest);
    }
    /// The whole line of a message.
    pub(crate) fn take(&mut self, us: Micros) -> VecDeque<(Command, Admitted)> {
        self.parked.remove(&us).unwrap_or_default()
    }
    /// Every line, for starting over.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (Command, Admitted)> + use<> {
        self.delayed.clear();
        std::mem::take(&mut self.parked).into_values().flatten()
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
