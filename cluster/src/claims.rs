//! Claims: who owns which slot, changed only by compare-and-set. The engines live in `cells` and
//! `simulations`.

use crate::slots::Slot;
use futures::future::BoxFuture;
use proto::v1::SlotRow;

/// Slots of one partition of the `slot` table: 4096 slots are read in 64 reads.
pub const SLOTS_PER_PARTITION: u16 = 64;

/// The partition of a slot.
pub fn partition(slot: Slot) -> u16 {
    slot.number() / SLOTS_PER_PARTITION
}

/// One compare-and-set: `slot` goes to `to` if its epoch still is `from_epoch` (0: nobody ever owned it).
/// `to.epoch` is above `from_epoch`: by one when the owner changes, by more only when an owner raises its own
/// slot over the epoch of a channel that came from another slot (rule F4).
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The slot.
    pub slot: Slot,
    /// Epoch that must be there.
    pub from_epoch: u64,
    /// The new row.
    pub to: SlotRow,
}

impl Claim {
    /// Whether it raises the epoch. One that does not is a bug of the claimant.
    pub fn is_rising(&self) -> bool {
        self.to.epoch > self.from_epoch
    }

    /// Asserts that it raises the epoch: it is the claimant that panics.
    pub fn assert_rising(&self) {
        assert!(self.is_rising(), "a claim raises the epoch of slot {}", self.slot);
    }
}

/// What became of one claim.
#[derive(Debug, Clone, PartialEq)]
pub enum ClaimOutcome {
    /// The row is now as asked.
    Applied,
    /// Another row was there; nothing changed.
    Refused(SlotRow),
}

/// The store's answer never came or it refused: nothing is known about the rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the slot table could not be read or written ({0}); whether the claim was applied is not known")]
pub struct ClaimsError(pub String);

/// Compare-and-set rows of the `slot` table.
pub trait Claims: Send + Sync + 'static {
    /// Rows of a partition (`partition < 64`), only those that exist.
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>>;
    /// Whether nobody else can hold this store while we do: then a claim that was made is confirmed for good.
    fn is_exclusive(&self) -> bool {
        false
    }
    /// Each claim by itself is atomic; outcomes in the order of the claims.
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>>;
}
