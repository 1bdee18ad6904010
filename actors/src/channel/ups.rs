//! Follow-ups of a log's events that are still to be done. Pure.
//!
//! Several are under way at a time, so that a crowd that was let in at once is told in seconds. Those that go to one
//! log go one after the other, in the order of their events: a leave never overtakes its join.

use crate::command::Command;
use crate::store::LogId;
use std::collections::{BTreeSet, VecDeque};

/// Follow-ups of one log that are under way, at most.
const AT_ONCE_MAX: usize = 64;
/// How many of those that wait are looked at for one that may begin: many may wait for the same log.
const LOOKED_AT_MAX: usize = 4 * AT_ONCE_MAX;

/// What an event makes another log do: the event's seq, the log, the command.
pub type FollowUp = (u64, LogId, Command);

/// The follow-ups of one log.
#[derive(Default)]
pub(crate) struct FollowUps {
    /// In the order of their events, those under way included.
    queue: VecDeque<FollowUp>,
    /// Logs to which one is under way.
    under_way: BTreeSet<LogId>,
    /// Failed since one succeeded last.
    failures: u32,
}

impl FollowUps {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
    pub(crate) fn extend(&mut self, ups: impl IntoIterator<Item = FollowUp>) {
        self.queue.extend(ups);
    }
    /// The log is read again, and what is to be done with it. What is under way goes on, and is waited for.
    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }
    /// One that may begin now: it is under way from here on.
    pub(crate) fn next(&mut self) -> Option<FollowUp> {
        if self.under_way.len() >= AT_ONCE_MAX {
            return None;
        }
        let mut waiting = self.queue.iter().take(LOOKED_AT_MAX);
        let next = waiting.find(|(_, log, _)| !self.under_way.contains(log))?.clone();
        self.under_way.insert(next.1.clone());
        Some(next)
    }
    /// The one that was under way to this log is done; `None`: it failed, and is done again.
    pub(crate) fn ended(&mut self, log: &LogId, seq: Option<u64>) {
        self.under_way.remove(log);
        let Some(seq) = seq else {
            self.failures += 1;
            return;
        };
        self.failures = 0;
        if let Some(at) = self.queue.iter().position(|(of, to, _)| *of == seq && to == log) {
            self.queue.remove(at);
        }
    }
    /// Up to which event all are done, in a log that ends here.
    pub(crate) fn followed(&self, tail: u64) -> u64 {
        self.queue.front().map_or(tail, |(next, ..)| next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Verb;
    use crate::context::Context;
    use proto::id::{UserId, WorkspaceId};

    fn user(number: usize) -> LogId {
        let workspace = WorkspaceId::parse("T0000000001").unwrap();
        Context::user(&workspace, &UserId::parse(&format!("U{number:0>10}")).unwrap())
    }
    fn ups(those: &[(u64, usize)]) -> FollowUps {
        let mut ups = FollowUps::default();
        let up = |(seq, number): &(u64, usize)| (*seq, user(*number), Command::system("", Verb::Leave));
        ups.extend(those.iter().map(up));
        ups
    }
    fn begin(ups: &mut FollowUps) -> Vec<(u64, LogId)> {
        std::iter::from_fn(|| ups.next()).map(|(seq, log, _)| (seq, log)).collect()
    }

    #[test]
    fn those_to_one_log_go_in_order_and_those_to_others_at_once() {
        let mut ups = ups(&[(5, 1), (6, 2), (7, 1), (8, 3)]);
        assert_eq!(begin(&mut ups), [(5, user(1)), (6, user(2)), (8, user(3))]);
        ups.ended(&user(2), Some(6));
        ups.ended(&user(3), Some(8));
        assert_eq!((begin(&mut ups), ups.followed(9)), (vec![], 4));
        ups.ended(&user(1), Some(5));
        assert_eq!((ups.followed(9), begin(&mut ups)), (6, vec![(7, user(1))]));
        ups.ended(&user(1), Some(7));
        assert_eq!((ups.is_empty(), ups.followed(9)), (true, 9));
    }

    #[test]
    fn one_that_fails_is_done_again_before_any_later_one() {
        let mut ups = ups(&[(5, 1), (6, 1)]);
        assert_eq!(begin(&mut ups), [(5, user(1))]);
        ups.ended(&user(1), None);
        assert_eq!((ups.failures(), begin(&mut ups)), (1, vec![(5, user(1))]));
        ups.ended(&user(1), Some(5));
        assert_eq!((ups.failures(), begin(&mut ups)), (0, vec![(6, user(1))]));
    }

    #[test]
    fn what_is_under_way_when_the_log_is_read_again_is_waited_for() {
        let mut ups = ups(&[(5, 1)]);
        assert_eq!(begin(&mut ups).len(), 1);
        ups.clear();
        ups.extend([(5, user(1), Command::system("", Verb::Leave))]);
        assert_eq!(begin(&mut ups), []);
        ups.ended(&user(1), Some(5));
        assert!(ups.is_empty(), "it has been done");
    }

    #[test]
    fn no_more_than_so_many_are_under_way() {
        let mut crowd = ups(&(0..1000).map(|number| (1, number)).collect::<Vec<_>>());
        assert_eq!((begin(&mut crowd).len(), crowd.len()), (AT_ONCE_MAX, 1000));
        crowd.ended(&user(7), Some(1));
        assert_eq!((begin(&mut crowd), crowd.len()), (vec![(1, user(AT_ONCE_MAX))], 999));
        // A long line for one log is not looked through to its end.
        let mut line = ups(&(0..1000).map(|at| (at, usize::from(at == 999))).collect::<Vec<_>>());
        assert_eq!(begin(&mut line), [(0, user(0))]);
    }
}
