//! The runs: the right rules in eight configurations, and each broken rule in one that shows it.

use super::config::Config;
use super::properties::*;
use super::variants::Variant;
use std::fmt;

/// What a run should find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All invariants hold and everything due is reached.
    Holds,
    /// This invariant breaks.
    Breaks(&'static str),
    /// All invariants hold, but this cannot happen.
    Misses(&'static str),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => write!(f, "holds"),
            Self::Breaks(property) => write!(f, "breaks: {property}"),
            Self::Misses(property) => write!(f, "never happens: {property}"),
        }
    }
}

/// A run and what it should find.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Sizes, switches, rules.
    pub config: Config,
    /// What it should find.
    pub expected: Expected,
}

/// Crashes, lost answers, late requests, three messages, three epochs: what most wrong rules need.
const STORMY: Config = Config { keys: 3, epoch_max: 3, unknown: true, crash: true, ..Config::CALM };

/// The main run: the log itself, its fence and its changes of owner.
pub const LOG: Config = Config {
    name: "log",
    sends_max: 3,
    pairs: true,
    guess: true,
    handoff: true,
    reaches: &[ROLLED, ALL_ACKED, HANDED_OFF, LATE, ZOMBIE, THREE_EPOCHS, GUESSED],
    ..STORMY
};

/// First attempts that lie around, and guesses (F4b).
pub const GUESS: Config = Config {
    name: "guess",
    epoch_max: 2,
    guess: true,
    mail: true,
    reaches: &[ROLLED, ALL_ACKED, GUESSED, LATE],
    ..STORMY
};

/// The same over three epochs and a planned move, so that a slot returns to where a first attempt still lies
/// around.
pub const RETURN: Config = Config {
    name: "return",
    keys: 2,
    epoch_max: 3,
    handoff: true,
    reaches: &[ALL_ACKED, GUESSED, HANDED_OFF, LATE],
    ..GUESS
};

/// An override to a slot that counts lower (F4's middle case).
pub const OVERRIDE: Config = Config {
    name: "override",
    epoch_first: 2,
    epoch_max: 2,
    guess: true,
    moves_home: true,
    reaches: &[ROLLED, ALL_ACKED, RAISED],
    ..STORMY
};

/// A gateway: subscribe, replay, live, owner changes, a warm hand-off.
pub const RELAY: Config = Config {
    name: "relay",
    keys: 2,
    bucket_rows: 1,
    handoff: true,
    relay: true,
    reaches: &[ROLLED, HANDED_OFF, MET],
    ..STORMY
};

/// A view, its `applied`, and retention behind it.
pub const VIEW: Config = Config {
    name: "view",
    epoch_max: 2,
    bucket_rows: 1,
    view: true,
    retention: true,
    reaches: &[ROLLED, RETAINED],
    ..STORMY
};

/// A gateway whose cursor is older than what retention left.
pub const SKIP: Config =
    Config { name: "skip", sends_max: 1, relay: true, reaches: &[RETAINED, SKIPPED, MET], ..VIEW };

/// Keys older than the two buckets that an owner holds.
pub const WINDOW: Config = Config {
    name: "window",
    keys: 4,
    bucket_rows: 1,
    mail: true,
    skew: 1,
    epoch_max: 1,
    reaches: &[ALL_ACKED, OLD_KEY],
    ..Config::CALM
};

/// The right rules, which must hold.
pub fn right() -> Vec<Case> {
    let configs = [LOG, GUESS, RETURN, OVERRIDE, RELAY, VIEW, SKIP, WINDOW];
    configs.into_iter().map(|config| Case { config, expected: Expected::Holds }).collect()
}

/// The case of one broken rule.
pub fn of(variant: Variant) -> Case {
    use Expected::{Breaks, Holds, Misses};
    let append = Config { name: "append", ..STORMY };
    let guess = Config { guess: true, ..append };
    let view = Config { unknown: false, crash: false, ..VIEW };
    let (config, expected) = match variant {
        Variant::Right => (LOG, Holds),
        Variant::EpochOnly | Variant::BlindRetry => (append, Breaks(ONE_SEQ)),
        Variant::EpochAsTimestamp | Variant::WriteThenReread | Variant::SettleByTail => {
            (append, Breaks(ACKED))
        }
        Variant::NoTsGuard => (guess, Breaks(TS)),
        Variant::GuessedRetry => (guess, Breaks(ONE_SEQ)),
        Variant::GuessAtArrival | Variant::FirstNeedsNoWindow => (GUESS, Breaks(ONE_SEQ)),
        Variant::TailOnly | Variant::OpenOnReport => (guess, Breaks(EPOCHS)),
        Variant::OpenOnUnknown => (append, Breaks(DENSE)),
        Variant::HeadTtl => (append, Breaks(CONTENT)),
        Variant::FanOutEarly => (RELAY, Breaks(DELIVERED)),
        Variant::ApplyEarly => (RELAY, Breaks(CONTIGUOUS)),
        Variant::FanOutOwnOnly | Variant::TwoTurns => (RELAY, Breaks(NO_GAP)),
        Variant::ForgetOld | Variant::LookUpOneBucket => (Config { skew: 0, ..WINDOW }, Breaks(ONE_SEQ)),
        Variant::TrustKeyTime => (WINDOW, Breaks(ONE_SEQ)),
        Variant::ViewByArrival | Variant::AppliedFirst | Variant::RetainEarly => (view, Breaks(FOLD)),
        Variant::DropHeads => (VIEW, Breaks(CONTENT)),
        Variant::StepDownOnHigher => (OVERRIDE, Misses(RAISED)),
        Variant::RaiseUnhomed => (OVERRIDE, Breaks(HOME)),
        Variant::RebuildAfterRead => (Config { reaches: &[ROLLED, ALL_ACKED, GUESSED], ..GUESS }, Holds),
        Variant::MoveUnsettled => (Config { handoff: true, reaches: &[HANDED_OFF], ..append }, Holds),
    };
    Case { config: config.under(variant), expected }
}

/// The broken rules, each with the property that it must fail by.
pub fn broken() -> Vec<Case> {
    Variant::BROKEN.into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::report::{Report, Verdict, check};
    use std::time::Duration;

    /// Runs a case and insists on its verdict; a failure prints the way there.
    fn run(config: Config, expected: Expected) -> Report {
        let report = check(&Case { config, expected }, &|| Duration::ZERO);
        assert!(report.is_as_expected(), "{report}\n{}", report.steps().join("\n"));
        report
    }

    fn holds(config: Config) -> usize {
        run(config, Expected::Holds).states
    }

    /// The named property breaks, and the list of cases says the same.
    fn breaks(variant: Variant, property: &'static str) -> usize {
        let case = of(variant);
        assert_eq!(case.expected, Expected::Breaks(property));
        run(case.config, case.expected).steps().len()
    }

    #[test]
    fn the_log_keeps_its_promises_in_more_than_a_million_states() {
        assert!(holds(LOG) >= 1_000_000);
    }

    #[test]
    fn a_first_attempt_that_lay_around_is_not_doubled() {
        holds(GUESS);
    }

    #[test]
    fn nor_is_it_when_the_slot_returns_to_where_it_lay() {
        holds(RETURN);
    }

    #[test]
    fn a_channel_moves_to_a_slot_that_counts_lower() {
        holds(OVERRIDE);
    }

    #[test]
    fn replay_meets_live_over_any_change_of_owner() {
        holds(RELAY);
    }

    #[test]
    fn a_view_equals_its_log_and_retention_waits_for_it() {
        holds(VIEW);
    }

    #[test]
    fn a_cursor_older_than_the_log_skips() {
        holds(SKIP);
    }

    #[test]
    fn a_key_older_than_the_window_is_found_in_its_bucket() {
        holds(WINDOW);
    }

    #[test]
    fn an_epoch_check_alone_doubles_a_message() {
        assert_eq!(breaks(Variant::EpochOnly, ONE_SEQ), 5);
    }

    #[test]
    fn an_epoch_as_timestamp_loses_an_acked_message() {
        assert_eq!(breaks(Variant::EpochAsTimestamp, ACKED), 7);
    }

    #[test]
    fn a_write_with_a_re_read_of_the_claim_loses_an_acked_message() {
        assert_eq!(breaks(Variant::WriteThenReread, ACKED), 8);
    }

    #[test]
    fn a_tail_check_alone_lets_the_epoch_fall() {
        breaks(Variant::TailOnly, EPOCHS);
    }

    #[test]
    fn a_guess_without_the_time_condition_lets_ts_fall() {
        breaks(Variant::NoTsGuard, TS);
    }

    #[test]
    fn a_blind_append_of_a_retry_doubles_it() {
        breaks(Variant::BlindRetry, ONE_SEQ);
    }

    #[test]
    fn a_retry_on_a_guess_is_doubled() {
        breaks(Variant::GuessedRetry, ONE_SEQ);
    }

    #[test]
    fn a_guess_newer_than_the_message_doubles_it() {
        breaks(Variant::GuessAtArrival, ONE_SEQ);
    }

    #[test]
    fn one_append_on_a_guess_does_not_make_every_first_attempt_new() {
        breaks(Variant::FirstNeedsNoWindow, ONE_SEQ);
    }

    #[test]
    fn opening_a_bucket_on_a_report_lets_the_epoch_fall() {
        breaks(Variant::OpenOnReport, EPOCHS);
    }

    #[test]
    fn opening_a_bucket_on_an_unanswered_append_breaks_dense_seq() {
        breaks(Variant::OpenOnUnknown, DENSE);
    }

    #[test]
    fn a_head_that_expires_starts_the_log_again() {
        breaks(Variant::HeadTtl, CONTENT);
    }

    #[test]
    fn settling_by_the_tail_acks_a_message_that_is_not_there() {
        breaks(Variant::SettleByTail, ACKED);
    }

    #[test]
    fn fan_out_before_the_append_delivers_what_is_not_there() {
        breaks(Variant::FanOutEarly, DELIVERED);
    }

    #[test]
    fn rows_of_others_must_be_fanned_out_too() {
        breaks(Variant::FanOutOwnOnly, NO_GAP);
    }

    #[test]
    fn an_event_applied_early_leaves_a_gap_behind() {
        breaks(Variant::ApplyEarly, CONTIGUOUS);
    }

    #[test]
    fn a_snapshot_in_a_turn_of_its_own_leaves_a_gap() {
        breaks(Variant::TwoTurns, NO_GAP);
    }

    #[test]
    fn a_forgotten_key_is_doubled() {
        breaks(Variant::ForgetOld, ONE_SEQ);
    }

    #[test]
    fn a_message_may_stand_in_a_later_bucket_than_its_key_says() {
        breaks(Variant::LookUpOneBucket, ONE_SEQ);
    }

    #[test]
    fn a_key_from_a_fast_clock_points_behind_its_message() {
        breaks(Variant::TrustKeyTime, ONE_SEQ);
    }

    #[test]
    fn a_view_write_without_timestamp_puts_the_view_back() {
        breaks(Variant::ViewByArrival, FOLD);
    }

    #[test]
    fn applied_before_the_view_write_landed_is_a_lie() {
        breaks(Variant::AppliedFirst, FOLD);
    }

    #[test]
    fn retention_ahead_of_applied_loses_events_for_the_view() {
        breaks(Variant::RetainEarly, FOLD);
    }

    #[test]
    fn a_head_deleted_with_its_bucket_lets_an_old_request_in() {
        breaks(Variant::DropHeads, CONTENT);
    }

    #[test]
    fn stepping_down_at_every_higher_epoch_leaves_an_overridden_channel_unserved() {
        let case = of(Variant::StepDownOnHigher);
        assert_eq!(case.expected, Expected::Misses(RAISED));
        run(case.config, case.expected);
    }

    #[test]
    fn raising_a_slot_that_the_channel_left_sets_two_slots_against_each_other() {
        breaks(Variant::RaiseUnhomed, HOME);
    }

    #[test]
    fn building_another_batch_early_costs_a_refusal_and_no_message() {
        holds(of(Variant::RebuildAfterRead).config);
    }

    #[test]
    fn a_move_in_the_middle_of_an_append_costs_a_refusal_and_no_message() {
        holds(of(Variant::MoveUnsettled).config);
    }

    #[test]
    fn a_counterexample_is_the_same_every_time() {
        let verdicts = [(); 2].map(|()| check(&of(Variant::BlindRetry), &|| Duration::ZERO).verdict);
        assert!(matches!(verdicts[0], Verdict::Breaks { .. }));
        assert_eq!(verdicts[0], verdicts[1]);
    }
}
