//! What a manager sees of peers that own no slots: gateways, over links in memory.

use super::*;
use crate::{
    claims::ClaimsError,
    gossip::Datagrams,
    host::paused,
    link::{
        LinkConfig,
        memory::{MemoryLinks, MemoryNetwork},
    },
    node::CellId,
    swim::{Address, Identity, Swim, SwimConfig},
    table::Table,
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use proto::v1::SlotRow;

fn id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}

/// No datagram goes or comes.
struct Silence;

impl Datagrams for Silence {
    fn send(&self, _: &Address, _: Vec<u8>) {}
    fn next(&self) -> BoxFuture<'_, Option<(Address, Bytes)>> {
        std::future::pending().boxed()
    }
}

/// Rows that are not asked for.
struct NoRows;

impl Claims for NoRows {
    fn read(&self, _: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        unreachable!("a look reads no rows")
    }
    fn claim(&self, _: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        unreachable!("a look makes no claims")
    }
}

/// A cell whose members are `a` to `d`.
struct Cell {
    host: Host,
    network: MemoryNetwork,
}

impl Cell {
    fn new() -> Self {
        Self { host: paused::host(), network: MemoryNetwork::new(LinkConfig::default()) }
    }
    fn join(&self, name: &str, role: Role) -> (Node, MemoryLinks) {
        let node = Node { id: id(name), boot: BootId(1), cell: CellId::parse("c").unwrap() };
        (node.clone(), self.network.join_proved(node, Roles::of(&[role])))
    }
    /// Somebody who says what it is told to say.
    fn peer(&self, name: &str, role: Role) -> Switchboard {
        Switchboard::start(&self.host, Arc::new(self.join(name, role).1))
    }
    /// A manager whose door is open.
    fn charm(&self, name: &str, role: Role) -> Charm {
        let (me, links) = self.join(name, role);
        let (me, host) = (Arc::new(me), self.host.clone());
        let board = Switchboard::start(&host, Arc::new(links));
        let address = Address::parse("x").unwrap();
        let (node, boot, cell) = (me.id.clone(), me.boot, me.cell.clone());
        let identity = Identity { node, boot, cell, gossip: address.clone(), link: address, rank: 1 };
        let swim = Swim::new(identity, Vec::new(), SwimConfig::default(), host.entropy());
        let gossip = Gossip::start(&host, swim, &[[0; 32]], Arc::new(Silence));
        let routes = Router::new(me.clone(), Arc::new(Table::new()));
        let (members, door) = (["a", "b", "c", "d"].map(id).into(), Door::new(&url(name)));
        door.open();
        let claims = Arc::new(NoRows);
        let charm = Charm::new(CharmArgs { host, me, members, claims, routes, gossip, board, door });
        charm.board.offer(CELL, Roles::ALL, Arc::new(charm.sights()));
        charm
    }
    /// What a manager sees when whatever it does not reach has been so for long enough.
    async fn seen_after_a_while(&self, charm: &mut Charm) -> CellView {
        for _ in 0..fitness::OUT_OF_REACH_MAX.as_millis() / LOOK.as_millis() {
            self.seen(charm).await;
        }
        self.seen(charm).await
    }
    /// What a manager sees when what was said has arrived.
    async fn seen(&self, charm: &mut Charm) -> CellView {
        self.host.sleep(LOOK).await;
        charm.look(Duration::ZERO).0
    }
}

fn url(name: &str) -> String {
    format!("http://{name}/")
}
fn says(peer: &Switchboard, sight: &Sight) {
    peer.peers().keys().for_each(|to| peer.notify(to, Class::Urgent, CELL, sight.notice()).unwrap());
}
fn homes(seen: &CellView) -> Vec<&str> {
    seen.gateways.keys().map(NodeId::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_owns_no_slots_is_a_home_while_its_door_is_open_and_it_stays_and_is_well() {
    let cell = Cell::new();
    let (mut charm, gate, owner) =
        (cell.charm("a", Role::Gateway), cell.peer("gate", Role::Gateway), cell.peer("b", Role::Channels));
    cell.host.sleep(LOOK).await;
    let open = Sight { gateway: url("gate").into(), ..Sight::default() };
    says(&owner, &Sight { gateway: url("b").into(), ..Sight::default() });
    assert_eq!(homes(&cell.seen(&mut charm).await), ["a"], "it has said nothing, and b may be no gateway");
    says(&gate, &open);
    let seen = cell.seen(&mut charm).await;
    assert_eq!((homes(&seen), &*seen.gateways[&id("gate")]), (vec!["a", "gate"], &*url("gate")));
    says(&gate, &Sight { gateway: "".into(), ..open.clone() });
    assert_eq!(homes(&cell.seen(&mut charm).await), ["a"], "its door is closed");
    says(&gate, &Sight { is_leaving: true, ..open.clone() });
    assert_eq!(homes(&cell.seen(&mut charm).await), ["a"], "it leaves");
    says(&gate, &Sight { ailing: [(id("gate"), "late".to_owned())].into(), ..open.clone() });
    let seen = cell.seen(&mut charm).await;
    let gray = [(id("gate"), "late".to_owned())].into();
    assert_eq!((homes(&seen), &seen.gray), (vec!["a"], &gray));
    says(&gate, &Sight { ailing: [(id("a"), "late".to_owned())].into(), ..open });
    let seen = cell.seen(&mut charm).await;
    assert_eq!((homes(&seen), seen.gray.len()), (vec!["a", "gate"], 0), "it speaks for itself alone");
    charm.door.close();
    assert_eq!(homes(&cell.seen(&mut charm).await), ["gate"]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_reach_a_member_sends_its_users_away_if_there_is_another_one() {
    let cell = Cell::new();
    let (mut charm, owner) = (cell.charm("gate", Role::Gateway), cell.peer("a", Role::Channels));
    cell.host.sleep(LOOK).await;
    says(&owner, &Sight { reaches: ["d", "gate"].map(id).into(), ..Sight::default() });
    let seen = cell.seen_after_a_while(&mut charm).await;
    assert!(seen.gray.is_empty(), "there is no other gateway: d yields");
    let other = cell.peer("gate-2", Role::Gateway);
    cell.host.sleep(LOOK).await;
    let closed = Sight { reaches: ["a", "d"].map(id).into(), ..Sight::default() };
    says(&other, &closed);
    let seen = cell.seen(&mut charm).await;
    assert!(seen.gray.is_empty(), "a link may take a while");
    let seen = cell.seen_after_a_while(&mut charm).await;
    let why = [(id("gate"), "it has no link to d, and others have".to_owned())].into();
    assert_eq!((seen.gray, seen.is_cut_off), (why, false), "the other one takes no users yet");
    says(&other, &Sight { gateway: url("gate-2").into(), ..closed });
    let seen = cell.seen(&mut charm).await;
    assert_eq!((seen.is_cut_off, homes(&seen)), (true, vec!["gate-2"]));
}
