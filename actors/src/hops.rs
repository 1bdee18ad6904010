//! Hops: what the last messages went through on this node, each step with its time, for operators who ask where one was
//! slow.
//!
//! Owns: a bounded memory of hops, the same for all actors of a node.
//! Promises: noting the hops of a batch costs one lock that hardly anybody else wants.
//! May lose: the oldest hops.
//! Never does: keep a word of a message.

use crate::delivery::Delivery;
use crate::store::LogId;
use proto::ts::Micros;
use proto::v1::Event;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts of the memory: a log is in one of them, and those of others are not in its way.
const LANES: usize = 8;

/// A step of a message's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    /// Somebody who is connected here asked for it.
    Asked,
    /// Its channel gave it its place.
    Ordered,
    /// It is known to be in the store; to how many gateways it went.
    Durable,
    /// A gateway got it.
    Arrived,
    /// It was given to the last of so many sessions here.
    Handed,
    /// Who asked for it has the answer.
    Answered,
}

/// A hop of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Time of the event, by which it is named.
    pub us: Micros,
    /// Its seq.
    pub seq: u64,
    /// Which step.
    pub hop: Hop,
    /// When, by this node's clock.
    pub at_us: Micros,
    /// See [`Hop`]; 0 where nothing is counted.
    pub count: u32,
}

impl Span {
    /// The same hop of events that take it together.
    pub fn of(events: &[Arc<Delivery>], hop: Hop, at_us: Micros, count: usize) -> impl Iterator<Item = Self> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        events.iter().map(move |delivery| {
            let Event { us, seq, .. } = delivery.event;
            Self { us, seq, hop, at_us, count }
        })
    }
}

/// The memory of one node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hops(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Hops, each with the name of its log.
    lanes: [Mutex<VecDeque<(u64, Span)>>; LANES],
    /// Hops of one lane.
    lane_max: usize,
    ordered: AtomicU64,
    handed: AtomicU64,
}

fn name_of(log: &LogId) -> u64 {
    let workspace = xxhash_rust::xxh3::xxh3_64(log.workspace.as_str().as_bytes());
    xxhash_rust::xxh3::xxh3_64_with_seed(log.channel.to_string().as_bytes(), workspace)
}

impl Hops {
    /// A memory of so many hops.
    pub fn new(spans_max: usize) -> Self {
        let (ordered, handed) = Default::default();
        Self(Arc::new(Shared { lanes: Default::default(), lane_max: spans_max / LANES, ordered, handed }))
    }

    /// Notes hops of events of a log.
    pub fn note(&self, log: &LogId, spans: impl IntoIterator<Item = Span>) {
        let log = name_of(log);
        let mut lane = self.lane(log);
        for span in spans {
            match span.hop {
                Hop::Ordered => _ = self.0.ordered.fetch_add(1, Relaxed),
                Hop::Handed => _ = self.0.handed.fetch_add(span.count.into(), Relaxed),
                _ => {}
            }
            lane.push_back((log, span));
        }
        let over = lane.len().saturating_sub(self.0.lane_max);
        lane.drain(..over);
    }

    /// What is remembered of an event, in the order in which it was noted.
    pub fn of(&self, log: &LogId, us: Micros) -> Vec<Span> {
        let log = name_of(log);
        let of_it = |(of, span): &(u64, Span)| (*of == log && span.us == us).then_some(*span);
        self.lane(log).iter().filter_map(of_it).collect()
    }

    /// Events that got their place here since the node started.
    pub fn ordered(&self) -> u64 {
        self.0.ordered.load(Relaxed)
    }

    /// Events given to sessions here since then, each for each session.
    pub fn handed(&self) -> u64 {
        self.0.handed.load(Relaxed)
    }

    fn lane(&self, log: u64) -> MutexGuard<'_, VecDeque<(u64, Span)>> {
        self.0.lanes[(log % LANES as u64) as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::id::{ConversationId, WorkspaceId};

    fn log(channel: &str) -> LogId {
        LogId::new(WorkspaceId::parse("T1").expect("an id"), ConversationId::parse(channel).expect("an id"))
    }

    #[test]
    fn a_message_is_remembered_hop_by_hop_and_the_oldest_are_forgotten() {
        let (hops, one, other) = (Hops::new(4 * LANES), log("C1"), log("C2"));
        let note = |log, us, hop, at_us| hops.note(log, [Span { us, seq: us, hop, at_us, count: 3 }]);
        note(&one, 7, Hop::Ordered, 70);
        note(&other, 7, Hop::Ordered, 71);
        note(&one, 7, Hop::Handed, 72);
        let seen: Vec<(Hop, u64)> = hops.of(&one, 7).iter().map(|span| (span.hop, span.at_us)).collect();
        assert_eq!(seen, [(Hop::Ordered, 70), (Hop::Handed, 72)]);
        assert_eq!((hops.ordered(), hops.handed()), (2, 3));
        (8..12).for_each(|us| note(&one, us, Hop::Ordered, us * 10));
        assert_eq!(hops.of(&one, 7), []);
        assert_eq!(hops.of(&one, 11).len(), 1);
    }

    #[test]
    fn without_room_only_the_counts_are_kept() {
        let (hops, log) = (Hops::new(0), log("C1"));
        hops.note(&log, [Span { us: 1, seq: 1, hop: Hop::Ordered, at_us: 1, count: 0 }]);
        assert_eq!((hops.of(&log, 1), hops.ordered()), (vec![], 1));
    }
}
