//! The slot table of a store that other nodes ask as well.

use super::RedbStore;
use cluster::{
    claims::{Claim, ClaimOutcome, Claims, ClaimsError},
    slots::Slot,
};
use futures::future::BoxFuture;
use proto::v1::SlotRow;

/// Claims of a store whose file this process has locked, and whose rows others write too: through this process, without
/// its asking.
pub struct SharedClaims(pub RedbStore);

impl Claims for SharedClaims {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        Claims::read(&self.0, partition)
    }
    fn is_exclusive(&self) -> bool {
        false
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        self.0.claim(claims)
    }
}
