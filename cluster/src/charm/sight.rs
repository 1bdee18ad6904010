//! What the nodes of a cell tell each other: whom they take for gone, and which slots have changed hands.

use crate::{
    link::roles::Role,
    node::{BootId, NodeId},
    router::Router,
    slots::Slot,
    switchboard::{Service, Switchboard},
    table::Owner,
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use prost::Message;
use proto::v1::{CellAilment, CellNotice, CellSight, CellSlot, CellSlots, SlotRow, cell_notice::What};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The switchboard's number of this service.
pub const CELL: u32 = 3;

/// Longest URL of a gateway.
const URL_BYTES_MAX: usize = 512;

/// What peers have said. Cheap to clone.
#[derive(Clone)]
pub struct Sights(Arc<Shared>);

struct Shared {
    routes: Router,
    board: Switchboard,
    said: Mutex<BTreeMap<NodeId, Arc<Sight>>>,
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
        encoded(What::Sight(CellSight { gone, leaving, ailing, reaches, gateway, missed }))
    }
    fn of_notice(sight: CellSight) -> Self {
        let CellSight { gone, leaving, ailing, reaches, gateway, missed } = sight;
        let nodes = |names: Vec<String>| names.iter().filter_map(|name| NodeId::parse(name).ok()).collect();
        let ails = |CellAilment { node, ails }| Some((NodeId::parse(&node).ok()?, ails));
        let ailing = ailing.into_iter().filter_map(ails).collect();
        let gateway = if is_url(&gateway) { gateway.into() } else { Arc::default() };
        let (gone, missed, reaches) = (nodes(gone), nodes(missed), nodes(reaches));
        Self { gone, missed, is_leaving: leaving, ailing, reaches, gateway }
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
    pub fn new(routes: Router, board: Switchboard) -> Self {
        Self(Arc::new(Shared { routes, board, said: Mutex::default() }))
    }
    /// What each peer said last.
    pub fn said(&self) -> BTreeMap<NodeId, Arc<Sight>> {
        self.heard().clone()
    }

    fn heard(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Sight>>> {
        self.0.said.lock().unwrap_or_else(PoisonError::into_inner)
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
        match CellNotice::decode(body).map(|notice| notice.what) {
            Ok(Some(What::Sight(sight))) => {
                self.heard().insert(from.clone(), Arc::new(Sight::of_notice(sight)));
            }
            Ok(Some(What::Slots(CellSlots { slots }))) => {
                match self.0.board.roles(from).has(Role::Channels) {
                    true => self.news(slots),
                    false => {
                        metrics::counter!("waggle_calls_refused_total", "why" => "role").increment(1);
                        tracing::warn!(peer = %from, "a node that may own no slots says who owns some");
                    }
                }
            }
            Ok(None) => tracing::debug!(peer = %from, "notice of a later build"),
            Err(error) => tracing::warn!(peer = %from, %error, "notice not understood"),
        }
    }

    fn peer(&self, peer: &NodeId, _: Option<BootId>) {
        // What it said in an earlier life, or before its link went, is of no use.
        self.heard().remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::paused,
        link::{Class, LinkError, LinkEvent, Links, roles::Roles},
        node::{CellId, Node},
        table::Table,
    };

    /// Links that prove of every peer that it has this role, and carry nothing.
    struct Proving(Role);

    impl Links for Proving {
        fn send(&self, _: &NodeId, _: Class, _: Bytes) -> Result<(), LinkError> {
            Ok(())
        }
        fn next(&self) -> BoxFuture<'_, Option<LinkEvent>> {
            std::future::pending().boxed()
        }
        fn roles(&self, _: &NodeId) -> Roles {
            Roles::of(&[self.0])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_owns_slots_is_heard_only_of_those_that_may_own_some() {
        let node = |name: &str| Node {
            id: NodeId::parse(name).unwrap(),
            boot: BootId(1),
            cell: CellId::parse("a").unwrap(),
        };
        let (slot, owner) = (Slot::new(7).unwrap(), Owner { node: Arc::new(node("b")), epoch: 3 });
        for (role, expected) in [(Role::Channels, Some(&owner)), (Role::Gateway, None)] {
            let table = Arc::new(Table::new());
            let board = Switchboard::start(&paused::host(), Arc::new(Proving(role)));
            let sights = Sights::new(Router::new(Arc::new(node("a")), table.clone()), board);
            sights.notice(&owner.node.id, slots(&[(slot, owner.clone())]));
            assert_eq!(table.now().owner(slot), expected, "{role:?}");
            let sight = Sight { gateway: "http://b/".into(), is_leaving: true, ..Sight::default() };
            sights.notice(&owner.node.id, sight.notice());
            assert_eq!(*sights.said()[&owner.node.id], sight, "what it says of itself is heard, {role:?}");
        }
    }
}
