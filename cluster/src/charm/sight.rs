//! What the nodes of a cell tell each other: whom they take for gone, and which slots have changed hands.

use crate::{
    link::roles::{Role, Roles},
    node::NodeId,
    router::Router,
    slots::Slot,
    switchboard::{Linked, Service},
    table::Owner,
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use prost::Message;
use proto::v1::{CellAilment, CellNotice, CellSight, CellSlot, CellSlots, SlotRow, cell_notice::What};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The switchboard's number of this service.
pub const CELL: u32 = 3;

/// Longest URL of a gateway.
const URL_BYTES_MAX: usize = 512;

/// What each of some peers said last.
pub type Said = BTreeMap<NodeId, Arc<Sight>>;

/// What peers have said. Cheap to clone.
#[derive(Clone)]
pub struct Sights(Arc<Shared>);

struct Shared {
    routes: Router,
    peers: Mutex<BTreeMap<NodeId, Peer>>,
}

/// A peer whose link is up.
struct Peer {
    roles: Roles,
    /// What it said last, once it has said something.
    said: Option<Arc<Sight>>,
}

/// What a node says of the cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// Whom it takes for gone.
    pub gone: BTreeSet<NodeId>,
    /// Those of them to whom it has had a link, in whatever life of theirs: they are hardly starting.
    pub missed: BTreeSet<NodeId>,
    /// It leaves itself.
    pub is_leaving: bool,
    /// Who is not fit to own slots, as each has told it, itself among them; and why not.
    pub ailing: BTreeMap<NodeId, String>,
    /// To whom it has a link.
    pub reaches: BTreeSet<NodeId>,
    /// URL under which users reach it alone; empty when it is nobody's home.
    pub gateway: Arc<str>,
    /// How long its reads of the store take, once it has made some.
    pub store_takes: Option<Duration>,
}

impl Sight {
    /// As a notice.
    pub fn notice(&self) -> Bytes {
        let names = |nodes: &BTreeSet<NodeId>| nodes.iter().map(ToString::to_string).collect();
        let (gone, missed, reaches) = (names(&self.gone), names(&self.missed), names(&self.reaches));
        let ailing = self.ailing.iter();
        let ailing = ailing.map(|(node, ails)| CellAilment { node: node.to_string(), ails: ails.clone() });
        let ailing = ailing.collect();
        let (leaving, gateway) = (self.is_leaving, self.gateway.to_string());
        let store_ms =
            self.store_takes.map_or(0, |takes| u32::try_from(takes.as_millis()).unwrap_or(u32::MAX));
        encoded(What::Sight(CellSight { gone, leaving, ailing, reaches, gateway, missed, store_ms }))
    }
    fn of_notice(sight: CellSight) -> Self {
        let CellSight { gone, leaving, ailing, reaches, gateway, missed, store_ms } = sight;
        let nodes = |names: Vec<String>| names.iter().filter_map(|name| NodeId::parse(name).ok()).collect();
        let ails = |CellAilment { node, ails }| Some((NodeId::parse(&node).ok()?, ails));
        let ailing = ailing.into_iter().filter_map(ails).collect();
        let gateway = if is_url(&gateway) { gateway.into() } else { Arc::default() };
        let (gone, missed, reaches) = (nodes(gone), nodes(missed), nodes(reaches));
        let store_takes = (store_ms > 0).then(|| Duration::from_millis(store_ms.into()));
        Self { gone, missed, is_leaving: leaving, ailing, reaches, gateway, store_takes }
    }
}

/// Whether users may be sent there: an http(s) URL with a trailing slash.
pub fn is_url(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= URL_BYTES_MAX;
    is_plain && (text.starts_with("http://") || text.starts_with("https://")) && text.ends_with('/')
}

/// Slots whose rows the speaker has changed or learned.
pub fn slots(news: &[(Slot, Owner)]) -> Bytes {
    let slot = |(slot, owner): &(Slot, Owner)| CellSlot {
        slot: slot.number().into(),
        epoch: owner.epoch,
        node: owner.node.id.to_string(),
        boot: owner.node.boot.0,
        cell: owner.node.cell.to_string(),
    };
    encoded(What::Slots(CellSlots { slots: news.iter().map(slot).collect() }))
}

fn encoded(what: What) -> Bytes {
    CellNotice { what: Some(what) }.encode_to_vec().into()
}

impl Sights {
    /// Of nobody yet. News of slots go to the table.
    pub fn new(routes: Router) -> Self {
        Self(Arc::new(Shared { routes, peers: Mutex::default() }))
    }
    /// What each peer with one of these roles said last.
    pub fn said_by(&self, roles: Roles) -> Said {
        let peers = self.peers();
        let speakers = peers.iter().filter(|(_, peer)| peer.roles.has_any(roles));
        speakers.filter_map(|(name, peer)| Some((name.clone(), peer.said.clone()?))).collect()
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<NodeId, Peer>> {
        self.0.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self, slots: Vec<CellSlot>) {
        let news = slots.into_iter().filter_map(|CellSlot { slot, epoch, node, boot, cell }| {
            let slot = Slot::new(u16::try_from(slot).ok()?)?;
            Some((slot, Owner::of_row(slot, &SlotRow { epoch, node, boot, cell }).ok()??))
        });
        self.0.routes.table().apply(&news.collect::<Vec<_>>());
    }
}

impl Service for Sights {
    fn call(&self, _: &NodeId, _: Bytes) -> BoxFuture<'static, Bytes> {
        async { Bytes::new() }.boxed()
    }

    fn notice(&self, from: &NodeId, body: Bytes) {
        let notice = CellNotice::decode(body).map(|notice| notice.what);
        let mut peers = self.peers();
        let Some(peer) = peers.get_mut(from) else { return };
        match notice {
            Ok(Some(What::Sight(sight))) => peer.said = Some(Arc::new(Sight::of_notice(sight))),
            Ok(Some(What::Slots(_))) if !peer.roles.has(Role::Channels) => {
                metrics::counter!("waggle_calls_refused_total", "why" => "role").increment(1);
                tracing::warn!(peer = %from, "a node that may own no slots says who owns some");
            }
            Ok(Some(What::Slots(CellSlots { slots }))) => {
                drop(peers);
                self.news(slots);
            }
            Ok(None) => tracing::debug!(peer = %from, "notice of a later build"),
            Err(error) => tracing::warn!(peer = %from, %error, "notice not understood"),
        }
    }

    fn peer(&self, peer: &NodeId, up: Option<Linked>) {
        // What it said in an earlier life, or before its link went, is of no use.
        let mut peers = self.peers();
        match up {
            Some(Linked { roles, .. }) => _ = peers.insert(peer.clone(), Peer { roles, said: None }),
            None => _ = peers.remove(peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        node::{BootId, CellId, Node},
        table::Table,
    };

    #[test]
    fn who_owns_slots_is_heard_only_of_those_that_may_own_some() {
        let node = |name: &str| Node {
            id: NodeId::parse(name).unwrap(),
            boot: BootId(1),
            cell: CellId::parse("a").unwrap(),
        };
        let (slot, owner) = (Slot::new(7).unwrap(), Owner { node: Arc::new(node("b")), epoch: 3 });
        for (role, expected) in [(Role::Channels, Some(&owner)), (Role::Gateway, None)] {
            let table = Arc::new(Table::new());
            let sights = Sights::new(Router::new(Arc::new(node("a")), table.clone()));
            let (b, roles) = (&owner.node.id, Roles::of(&[role]));
            sights.peer(b, Some(Linked { boot: BootId(1), roles }));
            sights.notice(b, slots(&[(slot, owner.clone())]));
            assert_eq!(table.now().owner(slot), expected, "{role:?}");
            let (gateway, store_takes) = ("http://b/".into(), Some(Duration::from_millis(64)));
            let sight = Sight { gateway, store_takes, is_leaving: true, ..Sight::default() };
            sights.notice(b, sight.notice());
            assert_eq!(*sights.said_by(roles)[b], sight, "what it says of itself is heard, {role:?}");
            assert!(sights.said_by(Roles::of(&[Role::Store])).is_empty(), "by its role");
            sights.peer(b, None);
            sights.notice(b, sight.notice());
            assert!(sights.said_by(Roles::ALL).is_empty(), "nothing is kept of a peer without a link");
        }
    }
}
