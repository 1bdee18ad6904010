//! What arrived for a node and was not yet taken: pure state between a wire and `Links::next`.
//!
//! Ups and downs are levels, not queues: per peer it holds what the node was told and what is true now, so
//! that a link that flaps while nobody looks costs nothing, and frames of a connection end with it. Frames
//! are bounded by the windows of the lanes. Peers take turns; urgent frames of all peers come before normal
//! ones.

use crate::{
    link::{Class, DownReason, LinkEvent, roles::Roles},
    node::{BootId, NodeId},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

#[derive(Debug, Default)]
struct Peer {
    /// The connection now: the number of it, the peer's life and what it was proved to be.
    now: Option<(u64, BootId, Roles)>,
    /// The connection of which the node was told.
    told: Option<u64>,
    /// Why the last one ended.
    reason: Option<DownReason>,
    frames: [VecDeque<Bytes>; 2],
}

impl Peer {
    /// The next thing to tell before any frame.
    fn level(&mut self, name: &NodeId) -> Option<LinkEvent> {
        let now = self.now.map(|(number, ..)| number);
        if self.told == now {
            return None;
        }
        let peer = name.clone();
        if self.told.take().is_some() {
            let reason = self.reason.take().unwrap_or(DownReason::Replaced);
            return Some(LinkEvent::Down { peer, reason });
        }
        self.told = now;
        self.now.map(|(_, boot, roles)| LinkEvent::Up { peer, boot, roles })
    }
}

/// The inbox of a node.
#[derive(Debug, Default)]
pub struct Inbox {
    peers: BTreeMap<NodeId, Peer>,
    connections: u64,
    turn: Option<NodeId>,
}

impl Inbox {
    /// A connection to this life of the peer, which was proved to be that, is up; an earlier one, if any, is over.
    pub fn up(&mut self, peer: &NodeId, boot: BootId, roles: Roles) {
        if self.peers.get(peer).is_some_and(|peer| peer.now.is_some()) {
            self.down(peer, DownReason::Replaced);
        }
        self.connections += 1;
        let peer = self.peers.entry(peer.clone()).or_default();
        peer.now = Some((self.connections, boot, roles));
    }
    /// The connection to the peer is over; its frames with it.
    pub fn down(&mut self, peer: &NodeId, reason: DownReason) {
        let Some(peer) = self.peers.get_mut(peer) else { return };
        if peer.now.take().is_some() {
            peer.reason = Some(reason);
            peer.frames = Default::default();
        }
    }
    /// A frame of the present connection.
    pub fn frame(&mut self, from: &NodeId, class: Class, payload: Bytes) {
        if let Some(peer) = self.peers.get_mut(from).filter(|peer| peer.now.is_some()) {
            peer.frames[class as usize].push_back(payload);
        }
    }
    /// The next event. For a frame, tell the lane that it was consumed.
    pub fn pop(&mut self) -> Option<LinkEvent> {
        if let Some(level) = self.peers.iter_mut().find_map(|(name, peer)| peer.level(name)) {
            self.peers.retain(|_, peer| peer.now.is_some() || peer.told.is_some());
            return Some(level);
        }
        let after = self.turn.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let until = self.turn.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let ready = |class: Class| {
            let has = |(_, peer): &(&NodeId, &Peer)| !peer.frames[class as usize].is_empty();
            let later = self.peers.range::<NodeId, _>((after, Bound::Unbounded)).find(has);
            let found = later.or_else(|| self.peers.range::<NodeId, _>((Bound::Unbounded, until)).find(has));
            found.map(|(name, _)| (name.clone(), class))
        };
        let (from, class) = Class::ALL.into_iter().find_map(ready)?;
        let payload = self.peers.get_mut(&from)?.frames[class as usize].pop_front()?;
        self.turn = Some(from.clone());
        Some(LinkEvent::Frame { from, class, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeId {
        NodeId::parse(text).unwrap()
    }
    fn drain(inbox: &mut Inbox) -> Vec<String> {
        let tell = |event| match event {
            LinkEvent::Up { peer, boot, .. } => format!("up {peer} {}", boot.0),
            LinkEvent::Down { peer, reason } => format!("down {peer} {reason:?}"),
            LinkEvent::Frame { from, payload, .. } => format!("{from} {}", payload[0]),
        };
        std::iter::from_fn(|| inbox.pop()).map(tell).collect()
    }
    fn frame(inbox: &mut Inbox, from: &str, class: Class, number: u8) {
        inbox.frame(&name(from), class, Bytes::from(vec![number]));
    }

    #[test]
    fn peers_take_turns_and_urgent_frames_go_first() {
        let mut inbox = Inbox::default();
        for peer in ["a", "b"] {
            inbox.up(&name(peer), BootId(1), Roles::ALL);
            (1..=3).for_each(|number| frame(&mut inbox, peer, Class::Normal, number));
        }
        frame(&mut inbox, "b", Class::Urgent, 9);
        let told = ["up a 1", "up b 1", "b 9", "a 1", "b 1", "a 2", "b 2", "a 3", "b 3"];
        assert_eq!(drain(&mut inbox), told);
    }

    #[test]
    fn a_connection_takes_its_frames_along_when_it_ends() {
        let mut inbox = Inbox::default();
        inbox.up(&name("a"), BootId(1), Roles::ALL);
        frame(&mut inbox, "a", Class::Normal, 1);
        assert_eq!(drain(&mut inbox), ["up a 1", "a 1"]);
        frame(&mut inbox, "a", Class::Normal, 2);
        inbox.down(&name("a"), DownReason::Silent);
        frame(&mut inbox, "a", Class::Normal, 3);
        inbox.up(&name("a"), BootId(2), Roles::ALL);
        frame(&mut inbox, "a", Class::Normal, 4);
        assert_eq!(drain(&mut inbox), ["down a Silent", "up a 2", "a 4"]);
    }

    #[test]
    fn a_link_that_flaps_unseen_is_told_once_and_one_that_never_was_up_for_the_node_is_not_told() {
        let mut inbox = Inbox::default();
        inbox.up(&name("a"), BootId(1), Roles::ALL);
        assert_eq!(drain(&mut inbox), ["up a 1"]);
        for boot in 2..100 {
            inbox.down(&name("a"), DownReason::Closed);
            inbox.up(&name("a"), BootId(boot), Roles::ALL);
        }
        assert_eq!(drain(&mut inbox), ["down a Closed", "up a 99"]);
        inbox.up(&name("b"), BootId(1), Roles::ALL);
        inbox.down(&name("b"), DownReason::Closed);
        assert_eq!(drain(&mut inbox), Vec::<String>::new());
    }

    #[test]
    fn a_connection_that_is_replaced_is_told_as_down_first() {
        let mut inbox = Inbox::default();
        inbox.up(&name("a"), BootId(1), Roles::ALL);
        assert_eq!(drain(&mut inbox), ["up a 1"]);
        inbox.up(&name("a"), BootId(1), Roles::ALL);
        assert_eq!(drain(&mut inbox), ["down a Replaced", "up a 1"]);
    }
}
