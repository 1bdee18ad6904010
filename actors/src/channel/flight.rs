//! One append from its first try to a known end: carries the fence's decisions out. A task of its own, so that the
//! channel's turn never waits for the store.

use crate::store::{Append, Appended, Store, StoreError};
use crate::tenure::Tenure;
use cluster::claims::{ClaimOutcome, Claims};
use cluster::fence::{Attempt, Flight, HeadSeen, Next, Outcome, Standing, raised_claim};
use cluster::host::{FaultPoint, Host};
use cluster::router::Router;
use cluster::slots::Slot;
use cluster::table::Owner;
use proto::v1::Head;
use std::sync::Arc;
use std::time::Duration;

/// Wait before the first resend; doubled each time.
const RESEND_FIRST: Duration = Duration::from_millis(20);
/// Longest wait between resends.
const RESEND_MAX: Duration = Duration::from_secs(2);

/// How an append ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Landed {
    /// Durable: acknowledge and spread.
    Applied,
    /// It can never be applied: load what is in the log and ask everything again.
    Reload,
    /// The slot is another node's.
    StepDown,
    /// Nothing was written; why.
    NotWritten(StoreError),
    /// The store has fewer rows than were acknowledged: stop serving this log.
    Diverged {
        /// Tail that was acknowledged.
        believed: u64,
        /// Tail that was found.
        found: u64,
    },
}

/// What a flight needs.
#[derive(Clone)]
pub struct Pilot {
    /// Time for back-offs, fault points.
    pub host: Host,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The slot table's rows.
    pub claims: Arc<dyn Claims>,
    /// This node and the slot table.
    pub routes: Router,
    /// Whether it still owns its slots.
    pub tenure: Tenure,
}

impl Pilot {
    /// Flies an append to its end.
    pub async fn fly(&self, append: Append) -> Landed {
        let slot = append.slot;
        let mut flight = Flight::new(Attempt {
            tail: append.tail,
            epoch: append.epoch,
            first_us: append.events.first().map_or(0, |event| event.us),
            batch: append.batch.0,
        });
        let mut standing = Standing::Believed { epoch: append.epoch };
        let mut wait = RESEND_FIRST;
        if !self.may_write(slot).await {
            return Landed::StepDown;
        }
        self.host.fault(FaultPoint::BeforeAppend);
        let (mut outcome, mut cause) = self.send(&append).await;
        loop {
            match flight.settle(outcome, standing) {
                Next::Acknowledge => {
                    self.host.fault(FaultPoint::BetweenAppendAndAck);
                    return Landed::Applied;
                }
                Next::Resend => {
                    metrics::counter!("waggle_append_resends_total").increment(1);
                    self.host.fault(FaultPoint::OutcomeUnknown);
                    self.host.sleep(wait).await;
                    wait = (wait * 2).min(RESEND_MAX);
                    if !self.may_write(slot).await {
                        return Landed::StepDown;
                    }
                    (outcome, cause) = self.send(&append).await;
                }
                Next::VerifyClaim => {
                    self.host.fault(FaultPoint::VerifyClaim);
                    standing = self.verify(slot, standing).await;
                }
                Next::ReadHead => outcome = self.read_head(&append).await,
                Next::RaiseEpoch { to } => {
                    self.host.fault(FaultPoint::RaiseEpoch);
                    self.raise(slot, to).await;
                    return Landed::StepDown;
                }
                Next::LoadRows { .. } => {
                    self.host.fault(FaultPoint::BatchRefused);
                    return Landed::Reload;
                }
                Next::StepDown { .. } => {
                    self.host.fault(FaultPoint::StepDown);
                    return Landed::StepDown;
                }
                Next::Diverged { believed, found } => return Landed::Diverged { believed, found },
                Next::Refuse => {
                    self.host.fault(FaultPoint::NotWritten);
                    let unknown = || StoreError::Unavailable("the store did not take the append".into());
                    return Landed::NotWritten(cause.unwrap_or_else(unknown));
                }
            }
        }
    }

    /// Whether the slot is still this node's. Of one that is not the fence would refuse a batch, or take it
    /// where nobody looks: the next owner has read the tail already. A node may have been frozen before any try.
    async fn may_write(&self, slot: Slot) -> bool {
        let holds = self.tenure.holds(slot).await;
        if !holds {
            self.host.fault(FaultPoint::StepDown);
        }
        holds
    }

    async fn send(&self, append: &Append) -> (Outcome, Option<StoreError>) {
        match self.store.append(append.clone()).await {
            Ok(Appended::Applied) => (Outcome::Applied, None),
            Ok(Appended::Already) => (Outcome::Already, None),
            Ok(Appended::Refused(head)) => (Outcome::Refused(head.as_ref().map(seen)), None),
            Err(StoreError::Unknown(_)) => (Outcome::Unknown, None),
            Err(error) => (Outcome::NotWritten, Some(error)),
        }
    }

    async fn read_head(&self, append: &Append) -> Outcome {
        match self.store.head(&append.log).await {
            Ok(head) => Outcome::HeadRead(head.as_ref().map(|(_, head)| seen(head))),
            Err(_) => Outcome::Unknown,
        }
    }

    /// Raises our slot's epoch over that of a log that came from another slot. Whether it worked or not, the channel
    /// starts again under what the table then says.
    async fn raise(&self, slot: Slot, to: u64) {
        let Some(owner) = self.routes.table().now().owner(slot).cloned() else { return };
        let raised = Owner { epoch: to, ..owner.clone() };
        match self.claims.claim(vec![raised_claim(slot, &owner, to)]).await {
            Ok(outcomes) if outcomes.first() == Some(&ClaimOutcome::Applied) => {
                self.routes.table().apply(&[(slot, raised)]);
            }
            Ok(_) => tracing::warn!(%slot, to, "epoch was not raised: the slot's row changed meanwhile"),
            Err(error) => tracing::warn!(%slot, to, %error, "epoch was not raised"),
        }
    }

    /// Reads the slot's row; keeps the old standing when it cannot be read.
    async fn verify(&self, slot: Slot, standing: Standing) -> Standing {
        match self.tenure.read(slot).await {
            Ok(Some(row)) if row.boot == self.routes.me().boot.0 => Standing::Ours { epoch: row.epoch },
            Ok(Some(row)) => Standing::Lost { epoch: row.epoch },
            Ok(None) => standing,
            Err(_) => {
                self.host.sleep(RESEND_FIRST).await;
                standing
            }
        }
    }
}

/// What the fence looks at of a head.
fn seen(head: &Head) -> HeadSeen {
    let mut batch = [0; 16];
    let bytes = head.batch.len().min(16);
    batch[..bytes].copy_from_slice(&head.batch[..bytes]);
    HeadSeen { tail: head.tail, epoch: head.epoch, last_us: head.last_us, batch }
}
