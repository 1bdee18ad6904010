//! F1 and F2: who may change the row of a slot. Getting these wrong costs availability, never a message.

use crate::{
    claims::Claim,
    node::{Node, NodeId},
    slots::Slot,
    table::Owner,
};
use std::time::Duration;

/// A node whose own loop runs later than this judges nobody: it may be the one that is slow.
pub const LOOP_LAG_MAX: Duration = Duration::from_millis(100);
/// Cells up to this size have no majority without the lost node; the store is the witness.
pub const WITNESSED_MAX: usize = 2;
/// A slot that moved stays at least this long, so that balancing cannot oscillate.
pub const HOLD_MIN: Duration = Duration::from_secs(10);

/// The present owner as this node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerSeen {
    /// It answers, or nothing says otherwise.
    Up,
    /// Membership and links say that it is gone.
    Down,
    /// It is here in another life than the row names.
    Rebooted,
    /// It is up, and says itself that it is not fit to own slots: it is its own second observer.
    Yields,
}

/// What a node knows when it considers to take a slot.
#[derive(Debug, Clone)]
pub struct ClaimView<'a> {
    /// This node, in this life.
    pub me: &'a Node,
    /// The slot.
    pub slot: Slot,
    /// Its row, read from the store.
    pub owner: Option<&'a Owner>,
    /// The owner in our view.
    pub owner_seen: OwnerSeen,
    /// Another member sees it as we do.
    pub second_observer: bool,
    /// Who is next for the slot on the ring of the members that are up.
    pub successor: Option<&'a NodeId>,
    /// Configured members of the cell, this node included.
    pub members: usize,
    /// Those of them that answer this node, itself included: a member that gossip has not missed yet may be cut off.
    pub members_linked: usize,
    /// How late our own loop runs.
    pub loop_lag: Duration,
}

/// Why a slot may not be taken. The row is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimDenied {
    /// Nothing to do.
    #[error("this node already owns the slot in epoch {epoch}")]
    Ours {
        /// Epoch of the claim.
        epoch: u64,
    },
    /// A live owner gives its slots away itself.
    #[error("{owner} owns the slot and is up: only it can hand the slot over")]
    OwnerUp {
        /// Who.
        owner: NodeId,
    },
    /// One view is not enough.
    #[error("no second member confirms that {owner} is gone")]
    OneObserver {
        /// Who owns the slot.
        owner: NodeId,
    },
    /// Somebody else is next.
    #[error("this node is not next for the slot on the ring{}", next_is(.successor))]
    NotSuccessor {
        /// Who is, if anyone.
        successor: Option<NodeId>,
    },
    /// We may be the ones who are cut off.
    #[error(
        "this node and those it reaches are {linked} of {members} configured members, which is no majority"
    )]
    Minority {
        /// Members that answer, this node included.
        linked: usize,
        /// Configured members.
        members: usize,
    },
    /// We may be the ones who are slow.
    #[error("this node itself runs {lag_ms} ms late: what it sees of others cannot be trusted")]
    LoopLag {
        /// How late.
        lag_ms: u64,
    },
}

fn next_is(successor: &Option<NodeId>) -> String {
    successor.as_ref().map(|node| format!(": {node} is")).unwrap_or_default()
}

/// F1: the claim that takes the slot, or the first condition that forbids it.
///
/// A node takes back the slots of its own earlier life at once: that it runs is the proof that the earlier
/// life is over (one process per data directory). Slots that nobody ever owned need no observers of an owner.
pub fn forced_claim(view: &ClaimView<'_>) -> Result<Claim, ClaimDenied> {
    let claim = || Owner::claim(view.slot, view.owner, view.me);
    let witnessed = view.members <= WITNESSED_MAX;
    if let Some(owner) = view.owner {
        if *owner.node == *view.me {
            return Err(ClaimDenied::Ours { epoch: owner.epoch });
        }
        if view.me.is_other_life_of(&owner.node) && !crate::planted!(OwnSlotsNotTaken) {
            return Ok(claim());
        }
        let owner = || owner.node.id.clone();
        if view.owner_seen == OwnerSeen::Up && !crate::planted!(SlotsOfTheLivingTaken) {
            return Err(ClaimDenied::OwnerUp { owner: owner() });
        }
        if !view.second_observer && !witnessed && !crate::planted!(OneObserver) {
            return Err(ClaimDenied::OneObserver { owner: owner() });
        }
    }
    if view.successor != Some(&view.me.id) {
        return Err(ClaimDenied::NotSuccessor { successor: view.successor.cloned() });
    }
    if view.members_linked * 2 <= view.members && !witnessed && !crate::planted!(MinorityTakes) {
        return Err(ClaimDenied::Minority { linked: view.members_linked, members: view.members });
    }
    if view.loop_lag >= LOOP_LAG_MAX {
        return Err(ClaimDenied::LoopLag { lag_ms: view.loop_lag.as_millis() as u64 });
    }
    Ok(claim())
}

/// F4, middle case: the owner raises its own slot above the epoch of a log that came from another slot.
/// `to` must be above `owner.epoch`.
pub fn raised_claim(slot: Slot, owner: &Owner, to: u64) -> Claim {
    assert!(to > owner.epoch, "an epoch is only ever raised: {} to {to}", owner.epoch);
    let mut claim = Owner::claim(slot, Some(owner), &owner.node);
    claim.to.epoch = to;
    claim
}

/// Why a slot moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveReason {
    /// Load: waits for [`HOLD_MIN`].
    Balance,
    /// The owner leaves: does not wait.
    Drain,
}

/// What the owner knows when it hands a slot over.
#[derive(Debug, Clone)]
pub struct MoveView<'a> {
    /// This node.
    pub me: &'a Node,
    /// The slot.
    pub slot: Slot,
    /// Its row.
    pub owner: Option<&'a Owner>,
    /// The new owner, in its present life.
    pub to: &'a Node,
    /// How long this node has held it.
    pub held: Duration,
    /// Why.
    pub reason: MoveReason,
}

/// Why a slot may not be handed over. The row is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoveDenied {
    /// Only the owner moves a slot.
    #[error("this node does not own the slot")]
    NotOwner,
    /// Nothing to do.
    #[error("the slot is already at {0}")]
    SameNode(NodeId),
    /// It came only just now.
    #[error("the slot came {held_ms} ms ago and stays at least 10 s")]
    HeldTooShort {
        /// How long it was held.
        held_ms: u64,
    },
}

/// F2: the compare-and-set that the old owner does for the new one.
pub fn planned_move(view: &MoveView<'_>) -> Result<Claim, MoveDenied> {
    let is_ours = |owner: &&Owner| *owner.node == *view.me || crate::planted!(OthersSlotsMoved);
    let owner = view.owner.filter(is_ours).ok_or(MoveDenied::NotOwner)?;
    if view.to.id == view.me.id {
        return Err(MoveDenied::SameNode(view.to.id.clone()));
    }
    if view.reason == MoveReason::Balance && view.held < HOLD_MIN {
        return Err(MoveDenied::HeldTooShort { held_ms: view.held.as_millis() as u64 });
    }
    Ok(Owner::claim(view.slot, Some(owner), view.to))
}

#[cfg(test)]
mod tests;
