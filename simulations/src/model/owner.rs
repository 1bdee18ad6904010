//! What one node holds of the channel: its claim, its knowledge of the log, and the one append it has under
//! way.

use super::store::{Batch, SEQS, Store, bucket_of};

/// A slot that the node believes to hold. It may be wrong, for as long as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which of the channel's two possible slots.
    pub slot: u8,
    /// The epoch under which the node claimed it.
    pub epoch: u8,
}

/// The part of the log that an owner holds: keys of the rows after `base`, up to `tail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// Everything up to here is not in hand.
    pub base: u8,
    /// Highest seq known.
    pub tail: u8,
    /// `us` of that row; 0 when a report did not say.
    pub last_us: u8,
    /// Key of each seq in hand, 0 elsewhere.
    pub keys: [u8; SEQS],
    /// Whether the store said so in this epoch, by a serial read or an applied append; else it is a guess or
    /// a copy.
    pub read: bool,
}

impl Known {
    /// What a report of a tail is worth: a place to try, and no key.
    pub fn reported(tail: u8, last_us: u8) -> Self {
        Self { base: tail, tail, last_us, keys: [0; SEQS], read: false }
    }

    /// A serial read of the newest head and of the rows of the current and the previous bucket.
    pub fn load(store: &Store, bucket_rows: u8) -> Self {
        let tail = store.tail();
        let mut known = Self {
            base: window_start(tail, bucket_rows),
            tail,
            last_us: store.head().map_or(0, |head| head.last_us),
            keys: [0; SEQS],
            read: true,
        };
        for seq in known.base + 1..=tail {
            known.keys[usize::from(seq) - 1] = store.row(seq).map_or(0, |row| row.key);
        }
        known
    }

    /// After an own append that is known applied, with its first row at `first`.
    pub fn extend(known: Option<Self>, batch: &Batch, first: u8, bucket_rows: u8) -> Self {
        let mut next = known.filter(|known| known.tail + 1 == first).unwrap_or(Self::reported(first - 1, 0));
        for (offset, (_, row)) in batch.rows().enumerate() {
            next.tail = first + offset as u8;
            next.keys[usize::from(next.tail) - 1] = row.key;
            next.last_us = row.us;
        }
        next.base = next.base.max(window_start(next.tail, bucket_rows));
        next.keys[..usize::from(next.base)].fill(0);
        next.read = true;
        next
    }

    /// Whether keys of the current or the previous bucket are missing, so that it cannot judge a retry.
    pub fn is_blind(&self, bucket_rows: u8) -> bool {
        self.base > window_start(self.tail, bucket_rows)
    }

    /// Seq of `key` among the rows in hand.
    pub fn find(&self, key: u8) -> Option<u8> {
        self.keys.iter().position(|held| *held == key).map(|index| index as u8 + 1)
    }

    /// I7: whether the rows in hand are those of the log.
    pub fn equals(&self, store: &Store) -> bool {
        (self.base + 1..=self.tail)
            .all(|seq| store.row(seq).is_some_and(|row| row.key == self.keys[usize::from(seq) - 1]))
    }
}

/// Last seq before the previous bucket: an owner holds the keys of the current and of the previous bucket.
fn window_start(tail: u8, bucket_rows: u8) -> u8 {
    bucket_of(tail, bucket_rows).saturating_sub(1) as u8 * bucket_rows
}

/// The append under way; one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duty {
    /// None.
    Idle,
    /// Sent, no answer yet.
    Waiting(Batch),
    /// Timed out: it may have landed, may land later, may never (F5).
    Unknown {
        /// The batch, kept as it was.
        batch: Batch,
        /// Whether a serial read since found the tail unmoved, which settles nothing.
        read: bool,
    },
    /// Wrong variant only: written plainly, about to re-read the claim before the ack.
    Rereading(Batch),
}

/// Progress of a planned move, which the old owner makes by compare-and-set for the new one (F2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// None under way.
    No,
    /// Frozen, state copied, the compare-and-set sent.
    Asked,
    /// Given up and resumed (or crashed), while that compare-and-set may still land.
    Late,
}

/// A node, as far as this channel is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The slot it believes to hold.
    pub claim: Option<Claim>,
    /// Last epoch it held and lost: stands for the boot id, which keeps a reboot from taking up its old
    /// claim.
    pub past: u8,
    /// What it holds of the log; `None` is a cold channel.
    pub known: Option<Known>,
    /// Its append under way.
    pub duty: Duty,
    /// Key that did not fit into the bucket of the batch under way; 0 is none.
    pub rest: u8,
    /// Its planned move under way.
    pub moving: Move,
}

impl Owner {
    /// A node without claim or knowledge.
    pub fn new() -> Self {
        Self { claim: None, past: 0, known: None, duty: Duty::Idle, rest: 0, moving: Move::No }
    }

    /// The batch that it sent and has not settled.
    pub fn unsettled(&self) -> Option<Batch> {
        match self.duty {
            Duty::Idle => None,
            Duty::Waiting(batch) | Duty::Unknown { batch, .. } | Duty::Rereading(batch) => Some(batch),
        }
    }

    /// Epoch of its claim, or of the last one it had.
    pub fn epoch(&self) -> u8 {
        self.claim.map_or(self.past, |claim| claim.epoch)
    }

    /// Whether it takes messages: it believes to own, has nothing under way and is not frozen by a move.
    pub fn is_ready(&self) -> bool {
        self.claim.is_some() && self.duty == Duty::Idle && self.moving != Move::Asked
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_lets_go_of_buckets_before_the_previous_one() {
        let mut known = Known::reported(0, 0);
        for first in 1..=4 {
            let batch = Batch { owner: 0, epoch: 1, first, us: first, keys: [first, 0], opens: true };
            known = Known::extend(Some(known), &batch, first, 1);
        }
        assert_eq!((known.base, known.tail, known.find(2), known.find(3)), (2, 4, None, Some(3)));
        assert!(!known.is_blind(1));
    }
}
