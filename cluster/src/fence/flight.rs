//! F3, F4 and F5: one append from its first try to a known end.

use proto::ts::Micros;

/// One conditional batch as it was first sent. It never changes: every try carries the same rows and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The seq before its first row.
    pub tail: u64,
    /// Epoch of the claim it was built under.
    pub epoch: u64,
    /// Time of its first row.
    pub first_us: Micros,
    /// Its id, drawn anew for every attempt.
    pub batch: [u8; 16],
}

/// The head of the log as the store reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSeen {
    /// Last seq.
    pub tail: u64,
    /// Epoch of the last append.
    pub epoch: u64,
    /// Time of the last row.
    pub last_us: Micros,
    /// Id of the last append.
    pub batch: [u8; 16],
}

/// What a try came to, or what a serial read of the head said after [`Next::ReadHead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The rows are durable.
    Applied,
    /// They were already.
    Already,
    /// The condition did not hold for this head; `None` when the store had no head to compare with.
    Refused(Option<HeadSeen>),
    /// No answer, or one that leaves it open.
    Unknown,
    /// This try wrote nothing (store full, busy or unreachable).
    NotWritten,
    /// No try: a serial read of the newest head; `None` for a log without rows.
    HeadRead(Option<HeadSeen>),
}

/// What this node knows of its claim on the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The slot's row was read since the attempt was refused and names this node.
    Ours {
        /// Epoch of the row.
        epoch: u64,
    },
    /// The table says ours; the row was not read since.
    Believed {
        /// Epoch in the table.
        epoch: u64,
    },
    /// The row or a higher epoch in the table names another node.
    Lost {
        /// Epoch of the other's claim.
        epoch: u64,
    },
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Known applied: acknowledge and fan out, in this order of things and not before (F3).
    Acknowledge,
    /// Send the same attempt again after a back-off; build nothing else meanwhile (F5).
    Resend,
    /// The slot is another node's: forget the log's state, answer senders with the new owner. What this
    /// attempt came to stays unknown to us; the new owner finds its rows by their keys.
    StepDown {
        /// Epoch of the other's claim.
        epoch: u64,
    },
    /// Ours, but the log counted higher under another slot: raise the slot's epoch, then settle again with
    /// the same outcome and the new standing.
    RaiseEpoch {
        /// The epoch to claim.
        to: u64,
    },
    /// Read the slot's row, then settle again with the same outcome and what it says.
    VerifyClaim,
    /// Read the newest head serially, then settle with [`Outcome::HeadRead`].
    ReadHead,
    /// This attempt can never be applied any more. Load rows `after + 1 ..= through` (none when equal), drop
    /// from the batch what is now in the log by key, and build another attempt on `through` and after
    /// `last_us`.
    LoadRows {
        /// Last row that was known.
        after: u64,
        /// Last row there is.
        through: u64,
        /// Its time.
        last_us: Micros,
        /// An earlier try was left open: rows of this very batch may be among those to load. They are known
        /// applied and are acknowledged, keys or not. Their batch id tells, or the epoch and time of row
        /// `after + 1`: the owner of an epoch never gives two batches the same place and time.
        find_mine: bool,
    },
    /// The log is shorter than believed. Under a guessed tail: drop the guess and load. Otherwise the store
    /// lost rows: stop serving this log and report it.
    Diverged {
        /// Tail of the attempt.
        believed: u64,
        /// Tail of the log.
        found: u64,
    },
    /// Nothing was written by any try: answer senders that they may try again.
    Refuse,
}

/// An attempt under way, and whether any of its tries was left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flight {
    attempt: Attempt,
    open: bool,
}

impl Flight {
    /// An attempt before its first try.
    pub fn new(attempt: Attempt) -> Self {
        Self { attempt, open: false }
    }
    /// What every try carries.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }
    /// Takes what a try came to. Every answer but the three that ask (verify, read, raise) and
    /// [`Next::Resend`] ends the flight.
    pub fn settle(&mut self, outcome: Outcome, standing: Standing) -> Next {
        match outcome {
            Outcome::Applied | Outcome::Already => Next::Acknowledge,
            Outcome::Refused(Some(head)) | Outcome::HeadRead(Some(head)) => self.judge(head, standing),
            Outcome::Unknown if crate::planted!(UnknownIsRefused) => Next::Refuse,
            Outcome::Unknown if crate::planted!(UnknownIsApplied) => Next::Acknowledge,
            Outcome::Unknown => {
                self.open = true;
                self.again(standing)
            }
            Outcome::NotWritten if !self.open => Next::Refuse,
            Outcome::NotWritten => self.again(standing),
            Outcome::Refused(None) => match self.again(standing) {
                Next::Resend => Next::ReadHead,
                lost => lost,
            },
            Outcome::HeadRead(None) if self.attempt.tail > 0 => {
                Next::Diverged { believed: self.attempt.tail, found: 0 }
            }
            Outcome::HeadRead(None) => self.again(standing),
        }
    }
    /// The next try, if the slot is not known to be another's.
    fn again(&self, standing: Standing) -> Next {
        match standing {
            Standing::Lost { epoch } => Next::StepDown { epoch },
            Standing::Ours { .. } | Standing::Believed { .. } => Next::Resend,
        }
    }
    /// Compares with a head. The store's order of conditions does not matter: all of them only ever go from
    /// holding to not holding, so what fails once fails for every late try of this attempt too.
    fn judge(&self, head: HeadSeen, standing: Standing) -> Next {
        let Attempt { tail, epoch, first_us, batch } = self.attempt;
        if head.batch == batch || (crate::planted!(RefusalTakenForSuccess) && head.tail > tail) {
            return Next::Acknowledge;
        }
        if let Standing::Lost { epoch } = standing {
            return Next::StepDown { epoch };
        }
        if head.epoch > epoch {
            match standing {
                Standing::Ours { epoch } if epoch < head.epoch => {
                    return Next::RaiseEpoch { to: head.epoch.saturating_add(1) };
                }
                Standing::Believed { epoch } if epoch < head.epoch => return Next::VerifyClaim,
                _ => {}
            }
        }
        if head.tail < tail {
            return Next::Diverged { believed: tail, found: head.tail };
        }
        if head.epoch > epoch || head.tail > tail || head.last_us >= first_us {
            let (through, last_us) = (head.tail, head.last_us);
            return Next::LoadRows { after: tail, through, last_us, find_mine: self.open };
        }
        self.again(standing)
    }
}

#[cfg(test)]
mod tests;
