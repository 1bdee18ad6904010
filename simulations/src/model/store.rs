//! The store of one channel as the model sees it: a bucketed log with one head a bucket, and the slot rows.
//!
//! One linearizable register per partition. What makes it a real store is *when* a request reaches it: at
//! once, late, twice or never, with or without an answer. That is the business of [`super::steps`]; here a
//! request simply lands.

use super::variants::Variant;

/// Rows that a run can hold: one more than any configuration has keys, so that a wrong rule has room to err.
pub const SEQS: usize = 5;

/// One row of the log. Its batch id is `(owner, epoch, us, key)`: in the model a batch's content names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Idempotency key of the message, from 1.
    pub key: u8,
    /// Microseconds of its `ts`.
    pub us: u8,
    /// Epoch of the owner that wrote it.
    pub epoch: u8,
    /// Node that wrote it.
    pub owner: u8,
}

/// The head of a bucket: the columns that an append's condition names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// Highest seq in the bucket.
    pub tail: u8,
    /// Epoch of the last append.
    pub epoch: u8,
    /// `us` of the last row.
    pub last_us: u8,
    /// The last batch applied.
    pub batch: Batch,
}

/// One conditional append: rows `first..`, all in one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Batch {
    /// Node that built it.
    pub owner: u8,
    /// Epoch it was built under.
    pub epoch: u8,
    /// Seq of its first row: the condition is `tail = first - 1`.
    pub first: u8,
    /// `us` of its first row, one more for the next.
    pub us: u8,
    /// Keys of its rows in order; 0 is none.
    pub keys: [u8; 2],
    /// Whether it opens its bucket: the condition is then `tail = null` alone.
    pub opens: bool,
}

impl Batch {
    /// Number of rows.
    pub fn row_count(&self) -> u8 {
        if self.keys[1] == 0 { 1 } else { 2 }
    }

    /// Seq of its last row.
    pub fn last(&self) -> u8 {
        self.first + self.row_count() - 1
    }

    /// Its rows with their seqs.
    pub fn rows(&self) -> impl Iterator<Item = (u8, Row)> + '_ {
        (0..self.row_count()).map(|i| {
            let row =
                Row { key: self.keys[i as usize], us: self.us + i, epoch: self.epoch, owner: self.owner };
            (self.first + i, row)
        })
    }
}

/// What an append did, as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// Applied; the first row got this seq (always the one asked for, under the right rules).
    Applied {
        /// Seq of the first row.
        first: u8,
    },
    /// The condition failed because this very batch is already in.
    Mine,
    /// The condition failed.
    Refused,
}

/// A slot's row, changed by compare-and-set only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Counts changes of owner.
    pub epoch: u8,
    /// The node that holds it.
    pub owner: u8,
}

/// All that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// Head of each bucket, `None` for a partition that does not exist.
    pub heads: [Option<Head>; SEQS],
    /// Row of each seq, from 1 at index 0.
    pub rows: [Option<Row>; SEQS],
    /// The channel's two possible slots.
    pub slots: [Slot; 2],
    /// The slot that the block's row (with its overrides) names for the channel.
    pub home: u8,
    /// Buckets whose rows retention has deleted, counted from the oldest. The model keeps the rows as the
    /// witness of what was promised, and a bucket's keys, like the real store, as a blob of its own.
    pub dropped: u8,
    /// Witness for I1: a stored row was replaced by another content.
    pub rewritten: bool,
}

impl Store {
    /// An empty log, its slot claimed by node 0 under epoch `epoch`; the other slot by node 1 under epoch 1.
    pub fn new(epoch: u8) -> Self {
        Self {
            heads: [None; SEQS],
            rows: [None; SEQS],
            slots: [Slot { epoch, owner: 0 }, Slot { epoch: 1, owner: 1 }],
            home: 0,
            dropped: 0,
            rewritten: false,
        }
    }

    /// Row at `seq`.
    pub fn row(&self, seq: u8) -> Option<Row> {
        self.rows.get(usize::from(seq).wrapping_sub(1)).copied().flatten()
    }

    /// Head of the newest bucket, as a serial read of it answers.
    pub fn head(&self) -> Option<Head> {
        self.heads.iter().rev().find_map(|head| *head)
    }

    /// Highest seq of the log, 0 when it is empty.
    pub fn tail(&self) -> u8 {
        self.head().map_or(0, |head| head.tail)
    }

    /// Seq at which `key` stands after `base`.
    pub fn find(&self, key: u8, base: u8) -> Option<u8> {
        (base + 1..=SEQS as u8).find(|seq| self.row(*seq).is_some_and(|row| row.key == key))
    }

    /// Whether all of `batch` can be read where it was meant to stand; rows that retention dropped cannot.
    pub fn contains(&self, batch: &Batch, bucket_rows: u8) -> bool {
        let is_kept = bucket_of(batch.first, bucket_rows) >= usize::from(self.dropped);
        is_kept && batch.rows().all(|(seq, row)| self.row(seq) == Some(row))
    }

    /// Whether `batch` can never be applied again, because the tail of a head only rises; a model without
    /// this would carry requests that cannot matter. Under the rules that do not look at the tail nothing is
    /// ever dead.
    pub fn is_dead(&self, batch: &Batch, bucket_rows: u8, variant: Variant) -> bool {
        if variant.revives_requests() {
            return false;
        }
        self.heads[bucket_of(batch.first, bucket_rows)]
            .is_some_and(|head| batch.opens || head.tail >= batch.first)
    }

    /// Lets an append land: evaluates the condition that `variant` puts on it and applies it.
    pub fn land(&mut self, batch: &Batch, bucket_rows: u8, variant: Variant) -> Landing {
        let head = self.heads[bucket_of(batch.first, bucket_rows)];
        match variant {
            Variant::EpochOnly => self.land_behind_epoch(batch, bucket_rows),
            Variant::EpochAsTimestamp | Variant::WriteThenReread => {
                self.land_plainly(batch, bucket_rows, variant == Variant::EpochAsTimestamp)
            }
            _ if head.is_some_and(|head| head.batch == *batch) => Landing::Mine,
            _ if !condition_holds(batch, head, variant) => Landing::Refused,
            _ => {
                self.put(batch, bucket_rows);
                Landing::Applied { first: batch.first }
            }
        }
    }

    /// The wrong rule of fencing by epoch alone: whoever is not fenced appends at the end.
    fn land_behind_epoch(&mut self, batch: &Batch, bucket_rows: u8) -> Landing {
        let first = self.tail() + 1;
        if self.head().is_some_and(|head| head.epoch > batch.epoch) || usize::from(first) > SEQS {
            return Landing::Refused;
        }
        self.put(&Batch { first, ..*batch }, bucket_rows);
        Landing::Applied { first }
    }

    /// The wrong rules of unconditional writes: the newest timestamp wins, be it the epoch or the time of
    /// arrival.
    fn land_plainly(&mut self, batch: &Batch, bucket_rows: u8, by_epoch: bool) -> Landing {
        let newer = |epoch: u8| by_epoch && epoch > batch.epoch;
        for (seq, row) in batch.rows() {
            if !self.row(seq).is_some_and(|old| newer(old.epoch)) {
                self.put_row(seq, row);
            }
        }
        let bucket = bucket_of(batch.first, bucket_rows);
        if !self.heads[bucket].is_some_and(|old| newer(old.epoch)) {
            self.heads[bucket] = Some(head_after(batch));
        }
        Landing::Applied { first: batch.first }
    }

    fn put(&mut self, batch: &Batch, bucket_rows: u8) {
        for (seq, row) in batch.rows() {
            self.put_row(seq, row);
        }
        self.heads[bucket_of(batch.first, bucket_rows)] = Some(head_after(batch));
    }

    fn put_row(&mut self, seq: u8, row: Row) {
        let place = &mut self.rows[usize::from(seq) - 1];
        self.rewritten |= place.is_some_and(|old| old != row);
        *place = Some(row);
    }
}

/// Bucket that holds `seq`.
pub fn bucket_of(seq: u8, bucket_rows: u8) -> usize {
    usize::from((seq.max(1) - 1) / bucket_rows)
}

/// Whether the row after `tail` is the first of a bucket.
pub fn is_boundary(tail: u8, bucket_rows: u8) -> bool {
    tail.is_multiple_of(bucket_rows)
}

/// `IF tail = n AND epoch <= e AND last_us < first_us`, or `IF tail = null` for a bucket's first append.
fn condition_holds(batch: &Batch, head: Option<Head>, variant: Variant) -> bool {
    match head {
        None => batch.opens,
        Some(head) => {
            !batch.opens
                && head.tail + 1 == batch.first
                && (head.epoch <= batch.epoch || variant == Variant::TailOnly)
                && (head.last_us < batch.us || variant == Variant::NoTsGuard)
        }
    }
}

fn head_after(batch: &Batch) -> Head {
    Head { tail: batch.last(), epoch: batch.epoch, last_us: batch.us + batch.row_count() - 1, batch: *batch }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(owner: u8, first: u8, key: u8, us: u8) -> Batch {
        Batch { owner, epoch: 1 + owner, first, us, keys: [key, 0], opens: is_boundary(first - 1, 2) }
    }

    #[test]
    fn a_late_duplicate_is_refused_because_the_tail_moved() {
        let mut store = Store::new(1);
        let late = batch(0, 1, 1, 1);
        assert_eq!(store.land(&late, 2, Variant::Right), Landing::Applied { first: 1 });
        assert_eq!(store.land(&late, 2, Variant::Right), Landing::Mine);
        assert_eq!(store.land(&batch(0, 2, 2, 2), 2, Variant::Right), Landing::Applied { first: 2 });
        assert_eq!(store.land(&late, 2, Variant::Right), Landing::Refused);
        assert!(store.is_dead(&late, 2, Variant::Right));
    }

    #[test]
    fn an_older_epoch_and_an_older_time_are_refused() {
        let mut store = Store::new(1);
        store.land(&batch(1, 1, 1, 5), 2, Variant::Right);
        assert_eq!(store.land(&batch(0, 2, 2, 9), 2, Variant::Right), Landing::Refused);
        assert_eq!(store.land(&batch(1, 2, 2, 5), 2, Variant::Right), Landing::Refused);
        assert_eq!(store.land(&batch(1, 2, 2, 6), 2, Variant::Right), Landing::Applied { first: 2 });
    }
}
