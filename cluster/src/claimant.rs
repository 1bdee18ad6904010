//! Start-up: a node reads the slot table and claims what F1 lets it claim.
//!
//! Owns nothing: the rows are the store's. Promises that the table it yields was read after the last claim,
//! so that an unknown outcome, a refusal or a race ends as what is there and never as what was hoped for.
//! Never takes a slot from a node that is not known to be gone.

use crate::{
    claims::{Claim, ClaimOutcome, Claims, ClaimsError, SLOTS_PER_PARTITION},
    fence::{ClaimDenied, ClaimView, MoveReason, MoveView, OwnerSeen, forced_claim, planned_move},
    host::Host,
    node::{BootId, Node, NodeId},
    ring::Ring,
    slots::{SLOTS, Slot},
    table::{Owner, RowError},
};
use futures::stream::{self, StreamExt, TryStreamExt};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// Partitions of the slot table.
pub const PARTITIONS: u16 = SLOTS / SLOTS_PER_PARTITION;
/// Partitions read at a time.
pub const READS_AT_ONCE: usize = 8;
/// Claims of one call to the store: all slots in four calls, each a few tens of KiB.
pub const CLAIMS_PER_CALL: usize = 1024;
/// Rounds of reading and claiming before giving up.
pub const ROUNDS_MAX: u32 = 8;
/// Pause before the third round; doubles with each one (3.2 s in all).
pub const ROUND_PAUSE: Duration = Duration::from_millis(50);

/// The cell as its configuration and this node's view have it.
#[derive(Debug, Clone)]
pub struct CellView {
    /// Configured members, this node included.
    pub members: BTreeSet<NodeId>,
    /// Nodes that are there, each in its life.
    pub lives: BTreeMap<NodeId, BootId>,
    /// Members and strangers that are gone in our view, and whether a second member agrees.
    pub gone: BTreeMap<NodeId, bool>,
    /// Nodes that hand their slots over and take none.
    pub leaving: BTreeSet<NodeId>,
    /// Nodes that are up and serve badly, and what is wrong with them: others take their slots.
    pub gray: BTreeMap<NodeId, String>,
    /// This node is gray because others reach what it does not, and there is another gateway: its users are served
    /// better there.
    pub is_cut_off: bool,
    /// Where users may be at home, this node included: URLs of the gateways that are up, stay and are well.
    pub gateways: BTreeMap<NodeId, Arc<str>>,
    /// How late our own loop runs.
    pub loop_lag: Duration,
}

impl CellView {
    /// The view of a node that is the whole cell.
    pub fn alone(me: &Node) -> Self {
        Self::starting([me.id.clone()].into())
    }
    /// The view of a node that has seen nobody yet.
    pub fn starting(members: BTreeSet<NodeId>) -> Self {
        let (lives, gone, leaving, gray, gateways) = Default::default();
        Self { members, lives, gone, leaving, gray, is_cut_off: false, gateways, loop_lag: Duration::ZERO }
    }
    /// Members that are up in our view. A node that is back in another life is up.
    fn up(&self) -> impl Iterator<Item = &NodeId> {
        self.members.iter().filter(|node| !self.gone.contains_key(*node))
    }
    /// Members that take slots.
    pub fn takers(&self) -> impl Iterator<Item = &NodeId> {
        self.up().filter(|node| self.is_fit(node))
    }
    /// Whether slots, and users, may be given to the node while it is up.
    pub fn is_fit(&self, node: &NodeId) -> bool {
        !self.leaving.contains(node) && !self.gray.contains_key(node)
    }
    /// Whether another member takes slots, as far as is known.
    pub fn has_taker(&self, me: &Node) -> bool {
        self.takers().any(|node| *node != me.id)
    }
    /// The ring of those that take slots.
    pub fn ring(&self) -> Ring {
        Ring::new(self.takers().cloned())
    }
    /// Whether both say the same of who owns slots, wherever users are and however late this node's loop runs.
    pub fn says_as(&self, other: &Self) -> bool {
        let Self { members, lives, gone, leaving, gray, is_cut_off: _, gateways: _, loop_lag: _ } = self;
        (members, lives, gone) == (&other.members, &other.lives, &other.gone)
            && (leaving, gray) == (&other.leaving, &other.gray)
    }
    /// Of those that say that they serve badly, those that are taken at their word: at most half of the members are
    /// gone or gray, so that somebody is left who owns the slots. Nodes that hear the same of each other pick the same
    /// ones, also of members that only some of them take for gone: those are counted once, as gray. Where one hears
    /// less for a while, two may differ over the last that there is room for; rows change by compare-and-set whoever
    /// is right.
    pub fn gray_of(&self, ailing: BTreeMap<NodeId, String>) -> BTreeMap<NodeId, String> {
        let is_member = |(node, _): &(NodeId, String)| self.members.contains(node);
        let (mut members, others): (BTreeMap<_, _>, BTreeMap<_, _>) = ailing.into_iter().partition(is_member);
        members.retain(|node, _| self.gone.get(node) != Some(&true));
        let gone =
            self.gone.keys().filter(|node| self.members.contains(*node) && !members.contains_key(*node));
        let room = (self.members.len() / 2).saturating_sub(gone.count());
        others.into_iter().chain(members.into_iter().take(room)).collect()
    }
    /// Configured members that answer: this node if it is one, and those to which there is a link.
    pub fn members_linked(&self, me: &NodeId) -> usize {
        self.members.iter().filter(|node| *node == me || self.lives.contains_key(*node)).count()
    }
    /// How an owner looks, and whether somebody else sees it so.
    fn seen(&self, owner: &Owner) -> (OwnerSeen, bool) {
        match (self.lives.get(&owner.node.id), self.gone.get(&owner.node.id)) {
            // It has said so itself.
            (Some(boot), _) if *boot != owner.node.boot => (OwnerSeen::Rebooted, true),
            (_, Some(true)) => (OwnerSeen::Down, true),
            // Whoever hears it says so, even of one that is out of this node's reach.
            _ if self.gray.contains_key(&owner.node.id) => (OwnerSeen::Yields, true),
            (_, Some(false)) => (OwnerSeen::Down, false),
            _ => (OwnerSeen::Up, false),
        }
    }
}

/// What a node would do with each slot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Compare-and-sets to make, in the order of slots.
    pub claims: Vec<Claim>,
    /// The same, of slots whose owners serve them until they are taken: there is no hurry.
    pub yielded: Vec<Claim>,
    /// Slots that are left as they are, those that this node owns already not counted.
    pub denied: Vec<(Slot, ClaimDenied)>,
}

/// What F1 lets this node claim of rows that were just read. `ring`: the cell's.
pub fn plan(rows: &BTreeMap<Slot, Owner>, me: &Node, cell: &CellView, ring: &Ring) -> Plan {
    let (placement, linked) = (ring.placement(), cell.members_linked(&me.id));
    let mut plan = Plan::default();
    let mut rows = rows.iter().peekable();
    for (slot, successor) in Slot::all().zip(placement.into_iter().map(Some).chain(std::iter::repeat(None))) {
        let owner = rows.next_if(|(of, _)| **of == slot).map(|(_, owner)| owner);
        match plan_of(slot, owner, me, (cell, linked), successor) {
            Ok(claim) => match owner.is_some_and(|owner| cell.gray.contains_key(&owner.node.id)) {
                true => plan.yielded.push(claim),
                false => plan.claims.push(claim),
            },
            Err(ClaimDenied::Ours { .. }) => {}
            Err(denied) => plan.denied.push((slot, denied)),
        }
    }
    plan
}

/// The same for one slot, whose successor on the cell's ring is known, as are the members that answer.
pub fn plan_of(
    slot: Slot,
    owner: Option<&Owner>,
    me: &Node,
    (cell, members_linked): (&CellView, usize),
    successor: Option<&NodeId>,
) -> Result<Claim, ClaimDenied> {
    let (owner_seen, second_observer) = owner.map_or((OwnerSeen::Up, false), |owner| cell.seen(owner));
    forced_claim(&ClaimView {
        me,
        slot,
        owner,
        owner_seen,
        second_observer,
        successor,
        members: cell.members.len(),
        members_linked,
        loop_lag: cell.loop_lag,
    })
}

/// What a node that leaves hands over (F2), to whom: nodes that it has a link to. `rows`: what it owns.
pub fn plan_of_leaving(rows: &BTreeMap<Slot, Owner>, me: &Node, cell: &CellView) -> Vec<Claim> {
    let takers = cell.takers().filter(|node| **node != me.id && cell.lives.contains_key(*node));
    let ring = Ring::new(takers.cloned());
    let why = (MoveReason::Drain, Duration::ZERO);
    rows.iter().filter_map(|(slot, owner)| move_of(*slot, owner, me, (cell, &ring), why)).collect()
}

/// The planned move (F2) of a slot of this node to whom a ring has for it, if that is another node which is there; with
/// the reason goes how long the slot has been here.
pub fn move_of(
    slot: Slot,
    owner: &Owner,
    me: &Node,
    (cell, ring): (&CellView, &Ring),
    (reason, held): (MoveReason, Duration),
) -> Option<Claim> {
    let to = ring.owner(slot).filter(|to| **to != me.id)?;
    let to = Node { id: to.clone(), boot: *cell.lives.get(to)?, cell: me.cell.clone() };
    planned_move(&MoveView { me, slot, owner: Some(owner), to: &to, held, reason }).ok()
}

/// Why a node could not settle what it owns. Claims that were made stay made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimantError {
    /// The rows could not be read or written in any of the rounds.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// A row names nobody.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Other nodes claim as fast as we do.
    #[error("{open} slots were still changing hands after {ROUNDS_MAX} rounds")]
    Contended {
        /// Slots that F1 would still let us claim.
        open: usize,
    },
}

/// The slot table after claiming.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// All rows, for [`crate::table::Table::apply`].
    pub rows: Vec<(Slot, Owner)>,
    /// Slots that were claimed in this start.
    pub claimed: usize,
    /// Slots that F1 left to others or to nobody.
    pub denied: Vec<(Slot, ClaimDenied)>,
}

/// Claims what F1 allows until a read shows that nothing more is to be claimed.
pub async fn claim_slots(
    claims: &dyn Claims,
    me: &Node,
    cell: &CellView,
    host: &Host,
) -> Result<Claimed, ClaimantError> {
    let (ring, at) = (cell.ring(), |slot: Slot| usize::from(slot.number()));
    let (mut is_claimed, mut last) = (vec![false; SLOTS.into()], ClaimantError::Contended { open: 0 });
    for round in 0..ROUNDS_MAX {
        if round > 1 {
            host.sleep(ROUND_PAUSE * 2u32.pow(round - 2)).await;
        }
        let rows = match read_rows(claims).await {
            Err(ClaimantError::Claims(error)) => {
                tracing::warn!(round, %error, "slot table not readable");
                last = error.into();
                continue;
            }
            rows => rows?,
        };
        // Who starts has heard of nobody that is gray.
        let Plan { claims: wanted, denied, .. } = plan(&rows, me, cell, &ring);
        if wanted.is_empty() {
            // What an open outcome left applied counts as well: by now the rows say so.
            let ours = |(slot, owner): &(&Slot, &Owner)| is_claimed[at(**slot)] && *owner.node == *me;
            let claimed = rows.iter().filter(ours).count();
            return Ok(Claimed { rows: rows.into_iter().collect(), claimed, denied });
        }
        last = ClaimantError::Contended { open: wanted.len() };
        wanted.iter().for_each(|claim| is_claimed[at(claim.slot)] = true);
        if let Err(error) = claim_all(claims, wanted).await {
            tracing::warn!(round, %error, "claims not settled");
            last = error.into();
        }
    }
    Err(last)
}

/// All rows, partition by partition.
pub async fn read_rows(claims: &dyn Claims) -> Result<BTreeMap<Slot, Owner>, ClaimantError> {
    let reads = stream::iter(0..PARTITIONS).map(|partition| claims.read(partition));
    let mut reads = reads.buffered(READS_AT_ONCE);
    let mut rows: Vec<(Slot, Owner)> = Vec::with_capacity(SLOTS.into());
    while let Some(partition) = reads.try_next().await? {
        for (slot, row) in partition {
            let owner = Owner::of_next_row(rows.last().map(|(_, before)| before), slot, &row)?;
            rows.extend(owner.map(|owner| (slot, owner)));
        }
    }
    Ok(rows.into_iter().collect())
}

/// Makes the claims, in calls of [`CLAIMS_PER_CALL`]. Refusals are only counted: the next read shows the
/// rows.
async fn claim_all(claims: &dyn Claims, wanted: Vec<Claim>) -> Result<(), ClaimsError> {
    let mut wanted = wanted.into_iter();
    while wanted.len() > 0 {
        let outcomes = claims.claim(wanted.by_ref().take(CLAIMS_PER_CALL).collect()).await?;
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, ClaimOutcome::Refused(_))).count();
        if refused > 0 {
            tracing::info!(refused, "claims refused: other rows were there");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
