//! What an operator is told of a cell, as one node sees it: who is there, who owns what, and why.

use crate::{
    claimant::{CellView, plan_of},
    fence::ClaimDenied,
    gossip::Seat,
    node::{Node, NodeId},
    ring::Ring,
    slots::{SLOTS, Slot},
    table::SlotTable,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One node's view of its cell at one moment.
pub struct Overview {
    /// Who looks.
    pub me: Arc<Node>,
    /// Who is up, gone and leaving.
    pub cell: CellView,
    /// What gossip says.
    pub seats: BTreeMap<NodeId, Seat>,
    /// Who owns which slot, as far as it is known.
    pub table: Arc<SlotTable>,
}

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is a link to it, or it is the one that looks.
    Up,
    /// It hands its slots over.
    Leaving,
    /// It is up, and not fit to own slots.
    Gray,
    /// Gossip has it, and there is no link.
    NoLink,
    /// Somebody could not reach it.
    Suspected,
    /// Neither gossip nor a link has it: others may take its slots.
    Gone,
    /// A member that has not been seen yet.
    Unseen,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeLine {
    /// Its name.
    pub node: NodeId,
    /// How it stands.
    pub state: State,
    /// Whether it may own channels.
    pub is_member: bool,
    /// Where it is reached.
    pub address: Option<String>,
    /// Slots that it owns.
    pub slots: usize,
}

/// A node's part of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RingLine {
    /// Its name.
    pub node: NodeId,
    /// Slots that it owns.
    pub owns: usize,
    /// Slots that the ring of the nodes that are up gives it.
    pub ring: usize,
    /// Of what it owns: slots that the ring gives another node.
    pub astray: usize,
}

/// A slot, and why it is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotLine {
    /// Its number.
    pub slot: u16,
    /// Its block.
    pub block: u16,
    /// Who owns it.
    pub owner: Option<NodeId>,
    /// In which life, as 16 hexadecimal digits.
    pub boot: Option<String>,
    /// Since which epoch.
    pub epoch: u64,
    /// Whom the ring of the nodes that are up gives it.
    pub ring: Option<NodeId>,
    /// Sentences.
    pub why: Vec<String>,
}

impl Overview {
    /// All nodes that are known of.
    pub fn nodes(&self) -> Vec<NodeLine> {
        let owned = self.owned();
        let known =
            self.cell.members.iter().chain(self.seats.keys()).chain(owned.keys()).chain([&self.me.id]);
        let known: BTreeSet<&NodeId> = known.collect();
        let line = |node: &NodeId| NodeLine {
            node: node.clone(),
            state: self.state(node),
            is_member: self.cell.members.contains(node),
            address: self.seats.get(node).map(|seat| seat.identity.link.to_string()),
            slots: owned.get(node).copied().unwrap_or_default(),
        };
        known.into_iter().map(line).collect()
    }

    fn state(&self, node: &NodeId) -> State {
        let (seat, has_link) = (self.seats.get(node), self.cell.lives.contains_key(node));
        match seat {
            _ if self.cell.leaving.contains(node) => State::Leaving,
            _ if self.cell.gray.contains_key(node) => State::Gray,
            _ if has_link || *node == self.me.id => State::Up,
            _ if self.cell.gone.contains_key(node) => State::Gone,
            Some(seat) if seat.is_suspected => State::Suspected,
            Some(_) => State::NoLink,
            None => State::Unseen,
        }
    }

    /// How many slots each node owns.
    fn owned(&self) -> BTreeMap<NodeId, usize> {
        let mut owned = BTreeMap::new();
        for owner in Slot::all().filter_map(|slot| self.table.owner(slot)) {
            *owned.entry(owner.node.id.clone()).or_default() += 1;
        }
        owned
    }

    /// The nodes of the ring and of the table.
    pub fn ring(&self) -> Vec<RingLine> {
        let ring = self.cell.ring();
        let mut lines: BTreeMap<NodeId, (usize, usize, usize)> = BTreeMap::new();
        for slot in Slot::all() {
            let (owner, place) = (self.table.owner(slot).map(|owner| &owner.node.id), ring.owner(slot));
            if let Some(place) = place {
                lines.entry(place.clone()).or_default().1 += 1;
            }
            if let Some(owner) = owner {
                let line = lines.entry(owner.clone()).or_default();
                line.0 += 1;
                line.2 += usize::from(place != Some(owner));
            }
        }
        let line = |(node, (owns, ring, astray))| RingLine { node, owns, ring, astray };
        lines.into_iter().map(line).collect()
    }

    /// Where a slot is, and why.
    pub fn slot(&self, slot: Slot) -> SlotLine {
        let (owner, ring) = (self.table.owner(slot), self.cell.ring());
        let place = ring.owner(slot);
        SlotLine {
            slot: slot.number(),
            block: slot.block(),
            owner: owner.map(|owner| owner.node.id.clone()),
            boot: owner.map(|owner| format!("{:016x}", owner.node.boot.0)),
            epoch: owner.map_or(0, |owner| owner.epoch),
            ring: place.cloned(),
            why: self.why(slot, &ring),
        }
    }

    fn why(&self, slot: Slot, ring: &Ring) -> Vec<String> {
        let (me, owner, place) = (&self.me.id, self.table.owner(slot), ring.owner(slot));
        let mut why = Vec::new();
        match owner {
            None => why.push("nobody is known to own it".to_owned()),
            Some(owner) => {
                let (node, epoch) = (&owner.node.id, owner.epoch);
                let state = self.state(node);
                why.push(match node == me {
                    true => format!("{node}, the node that was asked, owns it since epoch {epoch}"),
                    false => format!("{node} owns it since epoch {epoch}, and {me} sees it {}", said(state)),
                });
                if place != Some(node) && state == State::Up {
                    let place = place.map_or_else(|| "nobody".to_owned(), NodeId::to_string);
                    why.push(format!(
                        "the ring gives it to {place}; it stays with its owner while that is up"
                    ));
                }
            }
        }
        match plan_of(slot, owner, &self.me, (&self.cell, self.cell.members_linked(&self.me.id)), place) {
            Ok(_) => why.push(format!("{me} takes it with its next look")),
            Err(ClaimDenied::Ours { .. } | ClaimDenied::OwnerUp { .. }) => {}
            Err(denied) => why.push(format!("{me} does not take it: {denied}")),
        }
        why
    }

    /// What is not as it should be, a sentence each.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        let (members, linked) = (self.cell.members.len(), self.cell.members_linked(&self.me.id));
        if linked * 2 <= members && members > crate::fence::WITNESSED_MAX {
            let seen = format!("{} and those it reaches are {linked} of {members} members", self.me.id);
            troubles.push(format!("{seen}: without a majority nobody takes slots"));
        }
        for line in self.nodes() {
            let NodeLine { node, state, is_member, slots, .. } = line;
            if state != State::Up && (is_member || slots > 0) {
                let why = self.cell.gray.get(&node).map(|why| format!(": {why}")).unwrap_or_default();
                troubles.push(format!("{node} is {} and owns {slots} slots{why}", said(state)));
            }
        }
        let owned: usize = self.owned().values().sum();
        if owned < usize::from(SLOTS) {
            troubles.push(format!("{} slots have no owner", usize::from(SLOTS) - owned));
        }
        troubles
    }
}

fn said(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Leaving => "leaving",
        State::Gray => "gray",
        State::NoLink => "without a link",
        State::Suspected => "suspected",
        State::Gone => "gone",
        State::Unseen => "not seen yet",
    }
}

#[cfg(test)]
mod tests;
