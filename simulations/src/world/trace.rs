//! The trace: every event is hashed; the last ones are kept as a story.

use crate::world::{clock::Nanos, machine::MachineId};
use std::{collections::VecDeque, io::Write as _};
use xxhash_rust::xxh3::Xxh3;

/// Events kept in full for the story of a failure.
pub const TAIL_EVENTS_MAX: usize = 4096;
/// Kinds that are too many to tell a story by; they are hashed, and printed by a replay.
const ROUTINE: [&str; 3] = ["sleep", "segment", "window"];

struct Line {
    at: Nanos,
    machine: Option<MachineId>,
    kind: &'static str,
    ids: [u64; 2],
    text: Box<str>,
}

/// How much of what happens is printed as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// Nothing.
    #[default]
    Silent,
    /// Who did what, in sentences.
    Story,
    /// Every event.
    Events,
}

/// Hash of all events so far, and the last of them.
pub(crate) struct Trace {
    hasher: Xxh3,
    events: u64,
    tail: VecDeque<Line>,
    telling: Telling,
}

impl Trace {
    pub(crate) fn new(telling: Telling) -> Self {
        Self { hasher: Xxh3::new(), events: 0, tail: VecDeque::new(), telling }
    }

    /// Whether sentences are wanted.
    pub(crate) fn is_told(&self) -> bool {
        self.telling != Telling::Silent
    }

    /// A sentence of the story. It does not count for the hash: telling changes nothing.
    pub(crate) fn tell(&self, at: Nanos, sentence: String) {
        print(&format!("{:9.3} s  {sentence}", at as f64 / 1e9));
    }

    pub(crate) fn add(
        &mut self,
        at: Nanos,
        machine: Option<MachineId>,
        kind: &'static str,
        ids: [u64; 2],
        text: &str,
    ) {
        let mut head = [0u8; 32];
        let number = machine.map_or(u64::MAX, |machine| u64::from(machine.0));
        for (field, value) in head.chunks_mut(8).zip([at, number, ids[0], ids[1]]) {
            field.copy_from_slice(&value.to_le_bytes());
        }
        self.hasher.update(&head);
        self.hasher.update(kind.as_bytes());
        self.hasher.update(text.as_bytes());
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.events += 1;
        let all = self.telling == Telling::Events;
        if !all && ROUTINE.contains(&kind) {
            return;
        }
        let line = Line { at, machine, kind, ids, text: text.into() };
        if all {
            print(&line.show(&|machine| format!("machine-{}", machine.0)));
        }
        if self.tail.len() == TAIL_EVENTS_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    pub(crate) fn hash(&self) -> u128 {
        self.hasher.digest128()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The last events, one a line.
    pub(crate) fn tail(&self, name: impl Fn(MachineId) -> String) -> Vec<String> {
        self.tail.iter().map(|line| line.show(&name)).collect()
    }
}

/// To stdout; who closes it early has read enough.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

impl Line {
    fn show(&self, name: &impl Fn(MachineId) -> String) -> String {
        let (seconds, nanos) = (self.at / 1_000_000_000, self.at % 1_000_000_000);
        let machine = self.machine.map_or_else(|| "world".to_owned(), name);
        let [first, second] = self.ids;
        format!("{seconds:6}.{nanos:09} {machine:<10} {:<16} {first} {second} {}", self.kind, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(events: &[(u64, &'static str, u64)]) -> u128 {
        let mut trace = Trace::new(Telling::Silent);
        for (at, kind, id) in events {
            trace.add(*at, None, kind, [*id, 0], "");
        }
        trace.hash()
    }

    #[test]
    fn time_kind_ids_and_order_all_count_for_the_hash() {
        let base = hash(&[(1, "a", 1), (2, "b", 2)]);
        assert_eq!(base, hash(&[(1, "a", 1), (2, "b", 2)]));
        for other in [
            [(1, "a", 1), (3, "b", 2)],
            [(1, "a", 1), (2, "c", 2)],
            [(1, "a", 1), (2, "b", 3)],
            [(2, "b", 2), (1, "a", 1)],
        ] {
            assert_ne!(base, hash(&other));
        }
    }

    #[test]
    fn the_kept_story_is_bounded() {
        let mut trace = Trace::new(Telling::Silent);
        (0..TAIL_EVENTS_MAX as u64 + 10).for_each(|at| trace.add(at, None, "tick", [at, 0], ""));
        let tail = trace.tail(|_| String::new());
        assert_eq!(tail.len(), TAIL_EVENTS_MAX);
        assert!(tail[0].contains("tick"), "{}", tail[0]);
        assert_eq!(trace.events(), TAIL_EVENTS_MAX as u64 + 10);
    }
}
