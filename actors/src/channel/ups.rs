//! Follow-ups of a log's events that are still to be done. Pure.
//!
//! Several are under way at a time, so that a crowd that was let in at once is told in seconds. Those that go to one
//! log go one after the other, in the order of their events: a leave never overtakes its join. Logs take turns, and one
//! that cannot be written now is tried again after the others: it keeps none of them waiting.

use crate::command::Command;
use crate::store::LogId;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Follow-ups of one log that are under way, at most.
const AT_ONCE_MAX: usize = 64;

/// What an event makes another log do: the event's seq, the log, the command.
pub type FollowUp = (u64, LogId, Command);

/// What is to be done with one other log.
#[derive(Default)]
struct Line {
    /// In the order of their events; the one that is under way stays until it is done.
    waiting: VecDeque<(u64, Command)>,
    /// Tries that failed since one succeeded last.
    failures: u32,
}

/// One that begins.
pub(crate) struct Begun {
    /// The event that asks for it.
    pub seq: u64,
    /// Where it goes.
    pub log: LogId,
    pub command: Command,
    /// Tries to this log that failed, one after the other.
    pub failures: u32,
}

/// The follow-ups of one log.
#[derive(Default)]
pub(crate) struct FollowUps {
    lines: BTreeMap<LogId, Line>,
    /// Logs to which one may begin, those that have waited longest first.
    ready: VecDeque<LogId>,
    /// Logs to which one is under way.
    under_way: BTreeSet<LogId>,
    /// How many are left of each event, by its seq.
    left: BTreeMap<u64, usize>,
    len: usize,
}

impl FollowUps {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    pub(crate) fn extend(&mut self, ups: impl IntoIterator<Item = FollowUp>) {
        for (seq, log, command) in ups {
            let line = self.lines.entry(log.clone()).or_default();
            if line.waiting.is_empty() && !self.under_way.contains(&log) {
                self.ready.push_back(log);
            }
            line.waiting.push_back((seq, command));
            *self.left.entry(seq).or_default() += 1;
            self.len += 1;
        }
    }
    /// The log is read again, and what is to be done with it. What is under way goes on, and is waited for.
    pub(crate) fn clear(&mut self) {
        let under_way = std::mem::take(&mut self.under_way);
        *self = Self { under_way, ..Self::default() };
    }
    /// One that may begin now: it is under way from here on.
    pub(crate) fn next(&mut self) -> Option<Begun> {
        if self.under_way.len() >= AT_ONCE_MAX {
            return None;
        }
        let log = self.ready.pop_front()?;
        let line = self.lines.get(&log)?;
        let (seq, command) = line.waiting.front()?.clone();
        self.under_way.insert(log.clone());
        Some(Begun { seq, log, command, failures: line.failures })
    }
    /// The one that was under way to this log is done; `None`: it failed, and is done again.
    pub(crate) fn ended(&mut self, log: &LogId, seq: Option<u64>) {
        self.under_way.remove(log);
        let Some(line) = self.lines.get_mut(log) else { return };
        match seq {
            None => line.failures += 1,
            Some(seq) => {
                line.failures = 0;
                // Not always the first: the log may have been read again since, and more of it to be done again.
                if let Some(at) = line.waiting.iter().position(|(of, _)| *of == seq) {
                    line.waiting.remove(at);
                    self.len -= 1;
                    if let Entry::Occupied(mut left) = self.left.entry(seq) {
                        *left.get_mut() -= 1;
                        if *left.get() == 0 {
                            left.remove();
                        }
                    }
                }
            }
        }
        if line.waiting.is_empty() {
            self.lines.remove(log);
        } else {
            self.ready.push_back(log.clone());
        }
    }
    /// Up to which event all are done, in a log that ends here.
    pub(crate) fn followed(&self, tail: u64) -> u64 {
        self.left.first_key_value().map_or(tail, |(next, _)| next - 1)
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
        std::iter::from_fn(|| ups.next()).map(|begun| (begun.seq, begun.log)).collect()
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
        let mut next = || ups.next().map(|begun| (begun.seq, begun.failures));
        assert_eq!((next(), next()), (Some((5, 0)), None));
        ups.ended(&user(1), None);
        let mut next = || ups.next().map(|begun| (begun.seq, begun.failures));
        assert_eq!((next(), next()), (Some((5, 1)), None));
        ups.ended(&user(1), Some(5));
        let mut next = || ups.next().map(|begun| (begun.seq, begun.failures));
        assert_eq!((next(), next()), (Some((6, 0)), None), "it can be written now");
    }

    #[test]
    fn logs_that_can_never_be_written_keep_none_of_the_others_waiting() {
        let broken = 3 * AT_ONCE_MAX;
        let mut crowd = ups(&(0..broken + 10).map(|number| (1, number)).collect::<Vec<_>>());
        let mut turns = 0;
        while crowd.len() > broken {
            turns += 1;
            for (seq, log) in begin(&mut crowd) {
                let done = (broken..broken + 10).any(|number| log == user(number)).then_some(seq);
                crowd.ended(&log, done);
            }
        }
        assert_eq!((turns, crowd.followed(9)), (4, 0));
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
        // A long line for one log keeps nobody else waiting.
        let mut line = ups(&(0..1000).map(|at| (at, usize::from(at == 999))).collect::<Vec<_>>());
        assert_eq!(begin(&mut line), [(0, user(0)), (999, user(1))]);
    }
}
