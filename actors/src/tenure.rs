//! Whether this node still owns what it believes to own: rule F6, and what a node does that has been replaced.
//!
//! Owns: when each partition of the slot table was last read.
//! Promises: reads and subscriptions are answered from memory only under a claim that was confirmed within the last 2 s
//! of the monotonic clock, as far as the store answers.
//! May lose: nothing; it is asked again.
//! Never does: stand in for the fence, which alone keeps a replaced owner from writing.

use cluster::claimant::PARTITIONS;
use cluster::claims::{Claims, ClaimsError, partition};
use cluster::fence::{Freshness, freshness};
use cluster::host::{FaultPoint, Host};
use cluster::router::{Route, Router};
use cluster::slots::Slot;
use cluster::table::Owner;
use proto::v1::SlotRow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// What is known of the own claims. Cheap to clone.
#[derive(Clone)]
pub struct Tenure(Arc<Shared>);

struct Shared {
    host: Host,
    claims: Arc<dyn Claims>,
    routes: Router,
    /// By partition: microseconds of the monotonic clock at which its rows were last asked for.
    confirmed_us: Vec<AtomicU64>,
    replaced: Notify,
}

impl Tenure {
    /// Right after all slots were claimed.
    pub fn new(host: Host, claims: Arc<dyn Claims>, routes: Router) -> Self {
        let now = micros(host.monotonic());
        let confirmed_us = (0..PARTITIONS).map(|_| AtomicU64::new(now)).collect();
        Self(Arc::new(Shared { host, claims, routes, confirmed_us, replaced: Notify::new() }))
    }

    /// Whether the slot may be answered for from memory without asking: nobody else can have it, or its claim was
    /// confirmed lately.
    pub fn is_fresh(&self, slot: Slot) -> bool {
        self.is_granted() || (self.is_confirmed(slot) && self.is_local(slot))
    }

    /// Whether the slot may be answered for from memory. Reads its claim where that was not confirmed lately; a store
    /// that does not answer leaves it as it was, for there is nobody else to ask.
    pub async fn holds(&self, slot: Slot) -> bool {
        if self.is_granted() {
            return true;
        }
        if !self.is_confirmed(slot) {
            self.0.host.fault(FaultPoint::ClaimReread);
            if let Err(error) = self.read(slot).await {
                metrics::counter!("waggle_stale_answers_total").increment(1);
                tracing::warn!(%slot, %error, "claim could not be confirmed; answering from what was known");
            }
        }
        self.is_local(slot)
    }

    fn is_granted(&self) -> bool {
        self.0.claims.is_exclusive() || cluster::planted!(StaleReadGrant)
    }

    fn is_confirmed(&self, slot: Slot) -> bool {
        let last = Duration::from_micros(self.confirmed_us(slot).load(Relaxed));
        freshness(self.0.host.monotonic(), last, false) == Freshness::Fresh
    }

    fn is_local(&self, slot: Slot) -> bool {
        matches!(self.0.routes.route(slot), Route::Local { .. })
    }

    /// Reads the slot's row, and takes what is news of the others of its partition.
    pub async fn read(&self, slot: Slot) -> Result<Option<SlotRow>, ClaimsError> {
        let asked = self.0.host.monotonic();
        let rows = self.0.claims.read(partition(slot)).await?;
        self.confirmed_us(slot).fetch_max(micros(asked), Relaxed);
        self.learn(&rows);
        if cluster::planted!(ClaimsBack) && self.claim_back(&rows).await? {
            return Box::pin(self.read(slot)).await;
        }
        Ok(rows.into_iter().find(|(row, _)| *row == slot).map(|(_, row)| row))
    }

    fn confirmed_us(&self, slot: Slot) -> &AtomicU64 {
        &self.0.confirmed_us[usize::from(partition(slot))]
    }

    /// A row that names a later life of this node says that it has been replaced.
    fn learn(&self, rows: &[(Slot, SlotRow)]) {
        let me = self.0.routes.me();
        let owners = owners(rows);
        let changed = self.0.routes.table().apply(&owners);
        let replaced =
            |(slot, owner): &(Slot, Owner)| changed.contains(slot) && me.is_other_life_of(&owner.node);
        let stays = [cluster::planted!(StaleReadGrant), cluster::planted!(ClaimsBack)].contains(&true);
        if !stays && owners.iter().any(replaced) {
            self.0.replaced.notify_one();
        }
    }

    /// What F2 forbids: it is here to be found. Answers whether there was something to claim.
    async fn claim_back(&self, rows: &[(Slot, SlotRow)]) -> Result<bool, ClaimsError> {
        let me = self.0.routes.me();
        let lost = owners(rows).into_iter().filter(|(_, owner)| me.is_other_life_of(&owner.node));
        let claims: Vec<_> = lost.map(|(slot, owner)| Owner::claim(slot, Some(&owner), me)).collect();
        let any = !claims.is_empty();
        self.0.claims.claim(claims).await?;
        Ok(any)
    }

    /// Another life of this node has its place, whatever the rows say.
    pub fn give_way(&self) {
        self.0.replaced.notify_one();
    }

    /// Completes when another life of this node has taken its place.
    pub async fn replaced(&self) {
        self.0.replaced.notified().await;
    }
}

/// Rows that name an owner.
fn owners(rows: &[(Slot, SlotRow)]) -> Vec<(Slot, Owner)> {
    rows.iter().filter_map(|(slot, row)| Some((*slot, Owner::of_row(*slot, row).ok()??))).collect()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
