//! A node beside the others: who yields where two do not reach each other and others reach both, and whose way to the
//! store is slow.

use crate::{
    charm::sight::{Said, Sight},
    node::{BootId, NodeId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A way to the store on which reads take so many times as long as those of most others is slow.
const SLOW_TIMES: u32 = 4;

/// How long reads of the store take, at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::charm) struct Slower {
    pub(super) here: Duration,
    pub(super) elsewhere: Duration,
}

/// What a node sees around it.
pub(in crate::charm) struct Around<'a> {
    pub(in crate::charm) me: &'a NodeId,
    /// Who may own slots.
    pub(in crate::charm) members: &'a BTreeSet<NodeId>,
    /// Who keeps the store, as far as is known.
    pub(in crate::charm) stores: &'a BTreeSet<NodeId>,
    /// To whom it has a link.
    pub(in crate::charm) links: &'a BTreeMap<NodeId, BootId>,
    /// How long its reads of the store take.
    pub(in crate::charm) store_takes: Option<Duration>,
    /// What those say who are reached and may own slots.
    pub(in crate::charm) said: &'a Said,
    /// What those say who are reached and take users, members among them.
    pub(in crate::charm) by_gateways: &'a Said,
}

impl Around<'_> {
    /// Whether its way to the store is slow, and that of most others is not. Members alone are compared: gateways may
    /// be far from the store by design, and write nothing.
    pub(super) fn slower(&self) -> Option<Slower> {
        let here = self.store_takes.filter(|_| self.is_member(self.me))?;
        let mut others: Vec<Duration> = self.said.values().filter_map(|sight| sight.store_takes).collect();
        others.sort_unstable();
        let elsewhere = *others.get(others.len() / 2)?;
        (here >= elsewhere * SLOW_TIMES).then_some(Slower { here, elsewhere })
    }

    fn is_member(&self, node: &NodeId) -> bool {
        self.members.contains(node)
    }

    /// Nodes that others reach and this one does not. Whoever can own no slots is heard by members of members alone: of
    /// names that it makes up nobody is to think that they are gateways.
    pub(super) fn beyond(&self) -> BTreeSet<&NodeId> {
        let owns_slots = self.is_member(self.me);
        let by_gateways = self.by_gateways.values().flat_map(|sight| &sight.reaches);
        let by_gateways = by_gateways.filter(|node| !owns_slots || self.is_member(node));
        let reached = self.said.values().flat_map(|sight| &sight.reaches).chain(by_gateways);
        reached.filter(|node| *node != self.me && !self.links.contains_key(*node)).collect()
    }

    /// Whether it is this node that has to yield to one that it does not reach: a node that only keeps the store does
    /// not yield, and gateways that own no slots do without each other.
    pub(super) fn yields_to(&self, node: &NodeId, beyond: &BTreeSet<&NodeId>) -> bool {
        match (self.is_member(self.me), self.is_member(node)) {
            (_, false) if self.stores.contains(node) => true,
            (true, true) => self.misses_more_than(node, beyond),
            (true, false) => {
                let is_gateway = |node: &&&NodeId| !self.is_member(node) && !self.stores.contains(**node);
                self.is_out_of_reach_of_most(self.me, beyond.iter().filter(is_gateway).count())
            }
            (false, true) => {
                let misses = |(by, sight): &(&NodeId, &Arc<Sight>)| {
                    !self.is_member(by) && !sight.reaches.contains(node) && is_well(by, sight)
                };
                !self.is_out_of_reach_of_most(node, 1 + self.by_gateways.iter().filter(misses).count())
            }
            (false, false) => false,
        }
    }

    /// Of two members the one that is without more of the others yields, of equals the later one by name.
    fn misses_more_than(&self, node: &NodeId, beyond: &BTreeSet<&NodeId>) -> bool {
        let without = |(by, sight): &(&NodeId, &Arc<Sight>)| *by != node && !sight.reaches.contains(node);
        let theirs = 1 + self.said.iter().filter(without).count();
        let mine = beyond.iter().filter(|node| self.is_member(node)).count();
        (mine, self.me) > (theirs, node)
    }

    /// Whether more gateways that own no slots miss a member than gateways of any kind reach it: users of the ones that
    /// miss it had nowhere to go, so the member yields, and else those gateways do.
    fn is_out_of_reach_of_most(&self, member: &NodeId, missing: usize) -> bool {
        let reaches = |(by, sight): &(&NodeId, &Arc<Sight>)| {
            *by != member && sight.reaches.contains(member) && is_well(by, sight)
        };
        missing > self.by_gateways.iter().filter(reaches).count()
    }
}

/// Whether a node does not say of itself that it is unfit.
fn is_well(node: &NodeId, sight: &Sight) -> bool {
    !sight.ailing.contains_key(node)
}
