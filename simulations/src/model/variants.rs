//! The right rules, and the right rules with one of them broken.
//!
//! Each must fail by the property that one would name; two break nothing, and the model says so: those rules
//! are about speed, not about safety.

/// A set of rules: the right one, or the right one with one rule broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// The fencing rules F1-F7 as they stand.
    Right,
    /// The append is conditional on the epoch alone; the store appends at its end.
    EpochOnly,
    /// Plain writes with the epoch as timestamp.
    EpochAsTimestamp,
    /// Plain write, re-read of the claim, then the ack.
    WriteThenReread,
    /// The append is conditional on the tail alone.
    TailOnly,
    /// The append is not conditional on `last_us < first_us`.
    NoTsGuard,
    /// A refused batch is appended again without looking for its keys.
    BlindRetry,
    /// A retry is appended on a guess like a first attempt (F4b's second half dropped).
    GuessedRetry,
    /// A first attempt is appended on the newest report instead of the one that it carried when it was sent.
    GuessAtArrival,
    /// An owner that appended once on a guess takes every first attempt for new, however old the report it
    /// carries.
    FirstNeedsNoWindow,
    /// A bucket is opened on a gateway's report.
    OpenOnReport,
    /// A bucket is opened on the guess that an unanswered append filled the one before.
    OpenOnUnknown,
    /// Heads expire as rows do.
    HeadTtl,
    /// An unknown outcome is settled by the tail standing where the batch would have put it.
    SettleByTail,
    /// After a serial read that found the tail unmoved the batch counts as failed and another is built.
    RebuildAfterRead,
    /// A batch is fanned out when it is sent.
    FanOutEarly,
    /// An owner fans out its own batches but not the rows of others that it finds in the log.
    FanOutOwnOnly,
    /// A receiver applies an event that came before the one it should follow.
    ApplyEarly,
    /// Subscribe takes the snapshot in one turn and registers in another.
    TwoTurns,
    /// Keys older than the previous bucket are not looked up.
    ForgetOld,
    /// They are looked up only in the bucket of the key's own time.
    LookUpOneBucket,
    /// They are looked up from the key's own time on, without allowing for clients whose clocks run ahead.
    TrustKeyTime,
    /// A planned move is made while an append is under way.
    MoveUnsettled,
    /// View writes carry no timestamp.
    ViewByArrival,
    /// `applied` moves when a view write is sent.
    AppliedFirst,
    /// Retention does not wait for `applied`.
    RetainEarly,
    /// Retention deletes the head of a closed bucket with its rows.
    DropHeads,
    /// A higher epoch in the head always means stepping down.
    StepDownOnHigher,
    /// A slot is raised above a seen epoch without asking whether the channel still lives in it.
    RaiseUnhomed,
}

impl Variant {
    /// All but the right one.
    pub const BROKEN: [Self; 28] = [
        Self::EpochOnly,
        Self::EpochAsTimestamp,
        Self::WriteThenReread,
        Self::TailOnly,
        Self::NoTsGuard,
        Self::BlindRetry,
        Self::GuessedRetry,
        Self::GuessAtArrival,
        Self::FirstNeedsNoWindow,
        Self::OpenOnReport,
        Self::OpenOnUnknown,
        Self::HeadTtl,
        Self::SettleByTail,
        Self::RebuildAfterRead,
        Self::FanOutEarly,
        Self::FanOutOwnOnly,
        Self::ApplyEarly,
        Self::TwoTurns,
        Self::ForgetOld,
        Self::LookUpOneBucket,
        Self::TrustKeyTime,
        Self::MoveUnsettled,
        Self::ViewByArrival,
        Self::AppliedFirst,
        Self::RetainEarly,
        Self::DropHeads,
        Self::StepDownOnHigher,
        Self::RaiseUnhomed,
    ];

    /// Whether a request that found the tail moved may be applied after all.
    pub fn revives_requests(self) -> bool {
        matches!(
            self,
            Self::EpochOnly
                | Self::EpochAsTimestamp
                | Self::WriteThenReread
                | Self::HeadTtl
                | Self::DropHeads
        )
    }
}
