//! The table of F3 to F5, and what holds whatever the order of answers.

use super::*;
use Outcome::{Already, Applied, HeadRead, NotWritten, Refused, Unknown};
use Standing::{Believed, Lost, Ours};
use proptest::prelude::*;

const MINE: [u8; 16] = [1; 16];
const OTHER: [u8; 16] = [2; 16];
const ATTEMPT: Attempt = Attempt { tail: 10, epoch: 3, first_us: 500, batch: MINE };

fn head(tail: u64, epoch: u64, last_us: u64) -> HeadSeen {
    HeadSeen { tail, epoch, last_us, batch: OTHER }
}
fn load(through: u64, last_us: u64, find_mine: bool) -> Next {
    Next::LoadRows { after: 10, through, last_us, find_mine }
}

#[test]
fn each_outcome_has_one_answer() {
    let ours = Ours { epoch: 3 };
    let believed = Believed { epoch: 3 };
    let lost = Lost { epoch: 9 };
    let down = Next::StepDown { epoch: 9 };
    let mine = HeadSeen { batch: MINE, ..head(12, 3, 501) };
    let table = [
        (Applied, believed, Next::Acknowledge, "F3"),
        (Already, believed, Next::Acknowledge, "F3"),
        (Applied, lost, Next::Acknowledge, "what is in the log is acknowledged even by who lost the slot"),
        (Unknown, believed, Next::Resend, "F5"),
        (Unknown, lost, down, "the new owner settles it"),
        (NotWritten, believed, Next::Refuse, "nothing is open"),
        (Refused(Some(mine)), lost, Next::Acknowledge, "batch id mine"),
        (HeadRead(Some(mine)), believed, Next::Acknowledge, "F5: batch id mine"),
        (HeadRead(Some(head(10, 3, 400))), believed, Next::Resend, "F5: tail still n settles nothing"),
        (Refused(Some(head(12, 4, 600))), lost, down, "F4: not ours"),
        (Refused(Some(head(12, 4, 600))), believed, Next::VerifyClaim, "F4: higher epoch, row not read"),
        (Refused(Some(head(12, 7, 600))), ours, Next::RaiseEpoch { to: 8 }, "F4: came from another slot"),
        (Refused(Some(head(10, 7, 400))), ours, Next::RaiseEpoch { to: 8 }, "F4: also on an equal tail"),
        (Refused(Some(head(12, 7, 600))), Ours { epoch: 8 }, load(12, 600, false), "F4: once raised"),
        (Refused(Some(head(12, 7, 600))), Ours { epoch: 7 }, load(12, 600, false), "F4: as high as the head"),
        (
            Refused(Some(head(10, 7, 400))),
            Ours { epoch: 7 },
            load(10, 400, false),
            "F4: built under too low an epoch",
        ),
        (
            Refused(Some(head(12, 4, 600))),
            Believed { epoch: 4 },
            load(12, 600, false),
            "F4: nobody counts higher",
        ),
        (
            Refused(Some(head(12, 3, 600))),
            Ours { epoch: 2 },
            load(12, 600, false),
            "only a higher head asks to raise",
        ),
        (Refused(Some(head(12, 3, 600))), believed, load(12, 600, false), "F4: load the new rows"),
        (
            Refused(Some(head(12, 1, 600))),
            believed,
            load(12, 600, false),
            "a zombie of a lower epoch was first",
        ),
        (Refused(Some(head(10, 3, 500))), believed, load(10, 500, false), "time would not rise: rebuild"),
        (
            Refused(Some(head(9, 3, 400))),
            believed,
            Next::Diverged { believed: 10, found: 9 },
            "log is shorter",
        ),
        (Refused(None), believed, Next::ReadHead, "F4: a missing partition returns nothing"),
        (Refused(None), lost, down, "F4"),
        (HeadRead(None), believed, Next::Diverged { believed: 10, found: 0 }, "log is gone"),
    ];
    for (outcome, standing, next, why) in table {
        assert_eq!(Flight::new(ATTEMPT).settle(outcome, standing), next, "{why}: {outcome:?} {standing:?}");
    }
}

#[test]
fn a_try_that_wrote_nothing_does_not_settle_an_earlier_open_one() {
    let mut flight = Flight::new(ATTEMPT);
    assert_eq!(flight.settle(Unknown, Believed { epoch: 3 }), Next::Resend);
    assert_eq!(flight.settle(NotWritten, Believed { epoch: 3 }), Next::Resend);
    assert_eq!(flight.settle(Refused(Some(head(14, 3, 900))), Believed { epoch: 3 }), load(14, 900, true));
}

#[test]
fn the_first_append_of_a_log_is_resent_when_a_read_finds_no_head() {
    let mut flight = Flight::new(Attempt { tail: 0, ..ATTEMPT });
    assert_eq!(flight.settle(HeadRead(None), Believed { epoch: 3 }), Next::Resend);
}

fn heads() -> impl Strategy<Value = HeadSeen> {
    (8u64..14, 1u64..6, 490u64..510, prop_oneof![Just(MINE), Just(OTHER)])
        .prop_map(|(tail, epoch, last_us, batch)| HeadSeen { tail, epoch, last_us, batch })
}
fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Applied),
        Just(Already),
        Just(Unknown),
        Just(NotWritten),
        proptest::option::of(heads()).prop_map(Refused),
        proptest::option::of(heads()).prop_map(HeadRead),
    ]
}
fn standings() -> impl Strategy<Value = Standing> {
    (0u8..3, 3u64..7).prop_map(|(kind, epoch)| match kind {
        0 => Ours { epoch },
        1 => Believed { epoch },
        _ => Lost { epoch },
    })
}

proptest! {
    #[test]
    fn nothing_is_acknowledged_unless_the_store_says_that_it_is_there(
        answers in proptest::collection::vec((outcomes(), standings()), 1..12),
    ) {
        let mut flight = Flight::new(ATTEMPT);
        let mut open = false;
        for (outcome, standing) in answers {
            let next = flight.settle(outcome, standing);
            let there = match outcome {
                Applied | Already => true,
                Refused(Some(head)) | HeadRead(Some(head)) => head.batch == MINE,
                _ => false,
            };
            prop_assert_eq!(next == Next::Acknowledge, there);
            prop_assert_eq!(flight.attempt(), &ATTEMPT, "a resend carries the same attempt");
            open |= outcome == Unknown;
            prop_assert!(!(open && next == Next::Refuse), "an open outcome was called unwritten");
        }
    }
}

/// A log as one register, with tries that land late, never, or whose answers are lost.
struct Log {
    head: HeadSeen,
    rows: Vec<[u8; 16]>,
}

impl Log {
    fn land(&mut self, attempt: Attempt) -> Outcome {
        let head = self.head;
        if head.batch == attempt.batch {
            return Already;
        }
        if head.tail != attempt.tail || head.epoch > attempt.epoch || head.last_us >= attempt.first_us {
            return Refused(Some(head));
        }
        let Attempt { tail, epoch, first_us, batch } = attempt;
        self.head = HeadSeen { tail: tail + 1, epoch, last_us: first_us, batch };
        self.rows.push(batch);
        Applied
    }
}

/// An owner that keeps one attempt in flight and builds the next one only when the rules let it.
struct Writer {
    epoch: u64,
    flight: Flight,
    built: u8,
    id: u8,
}

impl Writer {
    fn new(id: u8, epoch: u64) -> Self {
        let attempt = Attempt { tail: 0, epoch, first_us: u64::from(id), batch: [id; 16] };
        Self { epoch, flight: Flight::new(attempt), built: 0, id }
    }
    /// Settles; true when the attempt ended, and then what the log must never show afterwards.
    fn settle(&mut self, log: &Log, outcome: Outcome) -> Option<([u8; 16], bool)> {
        let mut standing = Believed { epoch: self.epoch };
        loop {
            let ended = (self.flight.attempt().batch, false);
            match self.flight.settle(outcome, standing) {
                Next::Resend => return None,
                Next::VerifyClaim => standing = Ours { epoch: self.epoch },
                Next::RaiseEpoch { to } => {
                    self.epoch = to;
                    standing = Ours { epoch: to };
                }
                Next::Acknowledge => {
                    self.build(log.head);
                    return Some((ended.0, true));
                }
                Next::LoadRows { find_mine, .. } => {
                    let mine = find_mine && log.rows.contains(&ended.0);
                    self.build(log.head);
                    return Some((ended.0, mine));
                }
                other => panic!("not reached in this history: {other:?}"),
            }
        }
    }
    fn build(&mut self, head: HeadSeen) {
        self.built += 1;
        let mut batch = [self.id; 16];
        batch[0] = self.built;
        let first_us = head.last_us + 1;
        self.flight = Flight::new(Attempt { tail: head.tail, epoch: self.epoch, first_us, batch });
    }
}

proptest! {
    #[test]
    fn what_is_acknowledged_is_in_the_log_once_and_what_was_given_up_never_lands_late(
        steps in proptest::collection::vec((0usize..2, 0u8..4, any::<prop::sample::Index>()), 1..200),
    ) {
        let mut log = Log { head: HeadSeen { tail: 0, epoch: 0, last_us: 0, batch: [0; 16] }, rows: vec![] };
        let mut writers = [Writer::new(101, 1), Writer::new(102, 2)];
        let mut frozen: Vec<Attempt> = Vec::new();
        let (mut acked, mut given_up) = (Vec::new(), Vec::new());
        for (who, what, pick) in steps {
            let attempt = *writers[who].flight.attempt();
            let outcome = match what {
                0 => log.land(attempt),
                1 => { log.land(attempt); Unknown }
                2 => { frozen.push(attempt); Unknown }
                _ if frozen.is_empty() => continue,
                _ => { log.land(frozen.swap_remove(pick.index(frozen.len()))); continue }
            };
            match writers[who].settle(&log, outcome) {
                Some((batch, true)) => acked.push(batch),
                Some((batch, false)) => given_up.push(batch),
                None => {}
            }
        }
        for late in frozen {
            log.land(late);
        }
        let times = |batch| log.rows.iter().filter(|row| **row == batch).count();
        prop_assert!(acked.iter().all(|batch| times(*batch) == 1), "acknowledged and not in the log once");
        prop_assert!(given_up.iter().all(|batch| times(*batch) == 0), "given up and in the log");
        prop_assert!(log.rows.iter().all(|batch| times(*batch) == 1), "a batch landed twice");
    }
}
