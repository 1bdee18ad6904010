//! What every implementation of [`Links`] must do, as a suite that runs on each of them: [`super::memory`]
//! here, the simulated network and TCP in their crates. A case panics with what went wrong.
//!
//! A case starts on a fresh [`Wire`] of three nodes that are connected or about to be. It waits for events
//! and never for time, but gives up after [`PATIENCE`] of the wire's own clock.

use crate::{
    host::Host,
    link::{Class, DownReason, LinkConfig, LinkError, LinkEvent, Links},
    node::Node,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{sync::Arc, time::Duration};

/// How long a case waits for one event.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Three nodes on one network, and what the suite may do to it.
pub trait Wire: Send + Sync {
    /// Limits that the wire was made with.
    fn config(&self) -> LinkConfig;
    /// A clock to give up by.
    fn host(&self) -> Host;
    /// Node 0, 1 or 2 in its present life.
    fn node(&self, node: usize) -> Node;
    /// The links of its present life.
    fn links(&self, node: usize) -> Arc<dyn Links>;
    /// Cuts the link between two nodes, in both directions.
    fn cut(&self, a: usize, b: usize) -> BoxFuture<'_, ()>;
    /// Mends it.
    fn heal(&self, a: usize, b: usize) -> BoxFuture<'_, ()>;
    /// Ends a node's life and starts another one with another boot id.
    fn reboot(&self, node: usize) -> BoxFuture<'_, ()>;
}

/// A node as the suite uses it.
struct Player<'a, W> {
    wire: &'a W,
    node: Node,
    links: Arc<dyn Links>,
}

impl<'a, W: Wire> Player<'a, W> {
    fn new(wire: &'a W, node: usize) -> Self {
        Self { wire, node: wire.node(node), links: wire.links(node) }
    }
    fn send<V>(&self, to: &Player<'_, V>, class: Class, number: u64, size: usize) -> Result<(), LinkError> {
        self.links.send(&to.node.id, class, numbered(number, size))
    }
    async fn next(&self, wanted: &str) -> LinkEvent {
        let event = self.wire.host().timeout(PATIENCE, self.links.next()).await;
        let event = event.unwrap_or_else(|_| panic!("{}: nothing came, wanted {wanted}", self.node.id));
        event.unwrap_or_else(|| panic!("{}: the links are closed, wanted {wanted}", self.node.id))
    }
    /// Waits until the peer's life is up; frames and other peers' events before it are passed over.
    async fn up(&self, peer: &Node) {
        loop {
            if let LinkEvent::Up { peer: who, boot, .. } = self.next("an up").await
                && who == peer.id
            {
                return assert_eq!(boot, peer.boot, "{} is up in another life", peer.id);
            }
        }
    }
    /// Waits until the peer is down; frames that come before are theirs whose link is going.
    async fn down(&self, peer: &Node) -> DownReason {
        loop {
            match self.next("a down").await {
                LinkEvent::Down { peer: who, reason } if who == peer.id => return reason,
                _ => {}
            }
        }
    }
    /// The next frame from the peer; a down of it fails the case.
    async fn frame(&self, peer: &Node) -> (Class, u64) {
        loop {
            match self.next("a frame").await {
                LinkEvent::Frame { from, class, payload } if from == peer.id => {
                    return (class, number_of(&payload));
                }
                LinkEvent::Down { peer: who, reason } if who == peer.id => {
                    panic!("{}: {who} went down: {reason}", self.node.id);
                }
                _ => {}
            }
        }
    }
}

/// A payload that starts with its number and is otherwise zero.
fn numbered(number: u64, size: usize) -> Bytes {
    let mut payload = vec![0; size.max(8)];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload.into()
}
fn number_of(payload: &Bytes) -> u64 {
    let number = payload.first_chunk().expect("the suite sends payloads of at least 8 bytes");
    u64::from_be_bytes(*number)
}

async fn two<W: Wire>(wire: &W) -> (Player<'_, W>, Player<'_, W>) {
    let (a, b) = (Player::new(wire, 0), Player::new(wire, 1));
    a.up(&b.node).await;
    b.up(&a.node).await;
    (a, b)
}
/// Sends until the queue refuses; how many were taken.
fn flood<W: Wire>(from: &Player<'_, W>, to: &Player<'_, W>, class: Class, size: usize) -> u64 {
    let mut taken = 0;
    loop {
        match from.send(to, class, taken, size) {
            Ok(()) => taken += 1,
            Err(LinkError::Full) => return taken,
            Err(other) => panic!("a flood ended with: {other}"),
        }
        assert!(taken < 10_000_000, "the queue has no limit");
    }
}

/// Frames of each class come in the order of `send`, in both directions at once.
pub async fn frames_arrive_in_order(wire: &impl Wire) {
    const FRAMES: u64 = 500;
    let (a, b) = two(wire).await;
    for number in 0..FRAMES {
        for class in Class::ALL {
            let size = number as usize % 300;
            a.send(&b, class, number, size).expect("a few hundred frames fit the queue");
            b.send(&a, class, number, size).expect("a few hundred frames fit the queue");
        }
    }
    for (own, peer) in [(&a, &b), (&b, &a)] {
        let mut next = [0; 2];
        for _ in 0..2 * FRAMES {
            let (class, number) = own.frame(&peer.node).await;
            assert_eq!(number, next[class as usize], "{class:?} frames out of order");
            next[class as usize] += 1;
        }
        assert_eq!(next, [FRAMES; 2]);
    }
}

/// A full queue refuses and keeps what it took: all of it arrives, in order, and then there is room again.
pub async fn a_full_queue_refuses_and_loses_nothing_it_took(wire: &impl Wire) {
    let (a, b) = two(wire).await;
    let taken = flood(&a, &b, Class::Normal, 2000);
    let most = wire.config().window_credits + wire.config().queue_credits_max;
    assert!(taken * 2000 <= most, "{taken} frames were taken, beyond what queue and windows hold");
    for number in 0..taken {
        assert_eq!(b.frame(&a.node).await, (Class::Normal, number));
    }
    a.send(&b, Class::Normal, taken, 2000).expect("a drained queue takes frames");
    assert_eq!(b.frame(&a.node).await, (Class::Normal, taken));
}

/// However much fan-out waits, an urgent frame is taken and passes it.
pub async fn an_urgent_frame_overtakes_a_backlog(wire: &impl Wire) {
    let (a, b) = two(wire).await;
    let backlog = flood(&a, &b, Class::Normal, 2000);
    a.send(&b, Class::Urgent, 7, 100).expect("the urgent queue is its own");
    let mut before = 0;
    while b.frame(&a.node).await != (Class::Urgent, 7) {
        before += 1;
    }
    assert!(before < backlog, "the urgent frame came last, after {backlog} normal ones");
    for number in before..backlog {
        assert_eq!(b.frame(&a.node).await, (Class::Normal, number));
    }
}

/// A payload at the limit crosses, an empty one too, and one beyond it is refused without harm to the link.
pub async fn a_frame_beyond_the_limit_is_refused_and_the_link_lives(wire: &impl Wire) {
    let (a, b) = two(wire).await;
    let max = wire.config().payload_bytes_max;
    let refused = a.links.send(&b.node.id, Class::Normal, vec![0; max + 1].into());
    assert_eq!(refused, Err(LinkError::TooLarge { bytes: max + 1, max }));
    a.send(&b, Class::Normal, 1, max).expect("a frame at the limit is taken");
    assert_eq!(b.frame(&a.node).await, (Class::Normal, 1));
    a.links.send(&b.node.id, Class::Normal, Bytes::new()).expect("an empty frame is taken");
    let empty = loop {
        match b.next("the empty frame").await {
            LinkEvent::Up { peer, .. } if peer != a.node.id => {}
            event => break event,
        }
    };
    assert_eq!(
        empty,
        LinkEvent::Frame { from: a.node.id.clone(), class: Class::Normal, payload: Bytes::new() }
    );
}

/// A cut is told to both sides; meanwhile nothing is taken; after it, nothing from before arrives.
pub async fn a_cut_is_told_to_both_and_nothing_from_before_comes_after(wire: &impl Wire) {
    let (a, b) = two(wire).await;
    let backlog = flood(&a, &b, Class::Normal, 2000);
    wire.cut(0, 1).await;
    a.down(&b.node).await;
    b.down(&a.node).await;
    for class in Class::ALL {
        assert_eq!(a.send(&b, class, 0, 8), Err(LinkError::Down));
    }
    wire.heal(0, 1).await;
    a.up(&b.node).await;
    b.up(&a.node).await;
    for number in backlog..backlog + 50 {
        a.send(&b, Class::Normal, number, 8).expect("a fresh link takes frames");
    }
    for number in backlog..backlog + 50 {
        assert_eq!(b.frame(&a.node).await, (Class::Normal, number));
    }
}

/// A peer that was restarted goes down and comes up in its new life; the links of the old one are closed.
pub async fn a_restarted_peer_comes_up_in_its_new_life(wire: &impl Wire) {
    let (a, b) = two(wire).await;
    wire.reboot(1).await;
    a.down(&b.node).await;
    let reborn = Player::new(wire, 1);
    assert!(reborn.node.is_other_life_of(&b.node), "a reboot must change the boot id");
    a.up(&reborn.node).await;
    reborn.up(&a.node).await;
    assert_eq!(b.send(&a, Class::Urgent, 1, 8), Err(LinkError::Down), "an ended life still sends");
    a.send(&reborn, Class::Urgent, 2, 8).expect("the new life is reachable");
    assert_eq!(reborn.frame(&a.node).await, (Class::Urgent, 2));
}

/// A peer that reads nothing fills its own queue and holds up nobody else.
pub async fn a_peer_that_does_not_read_holds_up_nobody_else(wire: &impl Wire) {
    let (a, slow) = two(wire).await;
    let quick = Player::new(wire, 2);
    quick.up(&a.node).await;
    let backlog = flood(&a, &slow, Class::Normal, 2000);
    for number in 0..200 {
        while a.send(&quick, Class::Normal, number, 100) == Err(LinkError::Down) {
            a.up(&quick.node).await;
        }
        assert_eq!(quick.frame(&a.node).await, (Class::Normal, number));
    }
    let most = wire.config().window_credits + wire.config().queue_credits_max;
    let more = flood(&a, &slow, Class::Normal, 2000);
    assert!((backlog + more) * 2000 <= most, "{backlog} and {more} frames wait for who reads none");
}

/// A node that is not there, and the node itself, are down.
pub async fn a_stranger_cannot_be_sent_to(wire: &impl Wire) {
    let (a, _b) = two(wire).await;
    let stranger = crate::node::NodeId::parse("nobody").expect("a legal name");
    for peer in [&stranger, &a.node.id] {
        assert_eq!(a.links.send(peer, Class::Normal, Bytes::new()), Err(LinkError::Down));
    }
}
