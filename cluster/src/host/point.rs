//! Fault points: named places in the code where a simulated machine may die, and which rule each one stands for.
//!
//! Production passes them for free. A simulator counts them, so that a branch of a rule that is never taken is noticed,
//! and ends a life at them, which finds the state between two steps.

/// A place in the code. The name says what has just happened, or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultPoint {
    /// A starting node is about to claim its slots.
    BeforeClaims,
    /// It has claimed them; nothing else runs yet.
    SlotsClaimed,
    /// A channel is about to read its log.
    BeforeLoad,
    /// It has read it and takes commands.
    Loaded,
    /// A batch is about to be sent to the store.
    BeforeAppend,
    /// A batch is known applied; nobody has been told.
    BetweenAppendAndAck,
    /// Senders have their answers; followers have nothing yet.
    BetweenAckAndFanOut,
    /// What became of a batch is not known; the same one is sent again.
    OutcomeUnknown,
    /// A batch was refused for another's rows: memory is thrown away.
    BatchRefused,
    /// A batch was certainly not written; its senders are told so.
    NotWritten,
    /// The claim is read again because a log carries a higher epoch.
    VerifyClaim,
    /// The slot is another's: the owner steps down.
    StepDown,
    /// A claim that was not confirmed lately is read again before anything is answered from memory.
    ClaimReread,
    /// Another life of this node has its slots: it stops serving.
    Replaced,
    /// The own slot's epoch goes above that of a log which came from elsewhere.
    RaiseEpoch,
    /// A batch opens the next bucket of its log.
    BucketOpened,
    /// Keys of a closed bucket are read, for a command that is older than the window.
    OldKeysRead,
    /// A follow-up in another log is about to be asked for.
    BeforeFollowUp,
    /// It is done; the log that asked does not know yet.
    AfterFollowUp,
    /// A gateway has entered its name and gets the tail.
    Subscribed,
    /// Events are read from the store for somebody who is behind what memory holds.
    ReplayRead,
    /// A transient notice goes out past the log.
    Transient,
    /// A group of jobs is about to be committed.
    StoreCommit,
    /// It has been; nobody has been told.
    StoreCommitted,
}

/// A rule of the fence, as the table of [`crate::fence`] numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "numbers of the rules; the fence's own table says what each one is")]
pub enum Rule {
    F1,
    F2,
    F3,
    F4,
    F4b,
    F5,
    F6,
    F7,
}

macro_rules! points {
    ($($point:ident $name:literal $rule:expr;)+) => {
        impl FaultPoint {
            /// Every point.
            pub const ALL: &[Self] = &[$(Self::$point),+];
            /// As traces and counters name it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$point => $name),+ }
            }
            /// The rule whose branch this is, if it is one.
            pub fn rule(self) -> Option<Rule> {
                match self { $(Self::$point => $rule),+ }
            }
        }
    };
}

points! {
    BeforeClaims "before claims" None;
    SlotsClaimed "slots claimed" Some(Rule::F1);
    BeforeLoad "before load" None;
    Loaded "loaded" None;
    BeforeAppend "before append" None;
    BetweenAppendAndAck "between append and ack" Some(Rule::F3);
    BetweenAckAndFanOut "between ack and fan-out" Some(Rule::F3);
    OutcomeUnknown "outcome unknown" Some(Rule::F5);
    BatchRefused "batch refused" Some(Rule::F4);
    NotWritten "not written" None;
    VerifyClaim "verify claim" Some(Rule::F4);
    StepDown "step down" Some(Rule::F4);
    ClaimReread "claim reread" Some(Rule::F6);
    Replaced "replaced" None;
    RaiseEpoch "raise epoch" Some(Rule::F4);
    BucketOpened "bucket opened" Some(Rule::F4b);
    OldKeysRead "old keys read" None;
    BeforeFollowUp "before follow-up" None;
    AfterFollowUp "after follow-up" None;
    Subscribed "subscribed" None;
    ReplayRead "replay read" None;
    Transient "transient" Some(Rule::F7);
    StoreCommit "store commit" None;
    StoreCommitted "store committed" None;
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::F1, Self::F2, Self::F3, Self::F4, Self::F4b, Self::F5, Self::F6, Self::F7];
    /// Its number.
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "F1",
            Self::F2 => "F2",
            Self::F3 => "F3",
            Self::F4 => "F4",
            Self::F4b => "F4b",
            Self::F5 => "F5",
            Self::F6 => "F6",
            Self::F7 => "F7",
        }
    }
}
