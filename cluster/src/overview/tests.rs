use super::*;
use crate::{
    node::{BootId, CellId},
    table::{Owner, Table},
};

fn id(name: &str) -> NodeId {
    NodeId::parse(name).unwrap()
}
fn node(name: &str) -> Node {
    Node { id: id(name), boot: BootId(1), cell: CellId::parse("c").unwrap() }
}

/// As `a` sees it: `b` is up, `c` is gone, and all slots are where the ring of the three has them.
fn overview(confirmed: bool) -> Overview {
    let members: BTreeSet<NodeId> = ["a", "b", "c"].map(id).into();
    let table = Table::new();
    let ring = Ring::new(members.iter().cloned());
    let owner = |slot| Owner { node: Arc::new(node(ring.owner(slot).unwrap().as_str())), epoch: 3 };
    table.apply(&Slot::all().map(|slot| (slot, owner(slot))).collect::<Vec<_>>());
    let cell = CellView {
        lives: [(id("b"), BootId(1))].into(),
        gone: [(id("c"), confirmed)].into(),
        ..CellView::starting(members)
    };
    Overview { me: Arc::new(node("a")), cell, seats: BTreeMap::new(), table: table.now().clone() }
}

/// A slot of the first of the nodes that the ring of the two others gives to the second.
fn slot_of(overview: &Overview, owner: &str, next: &str) -> Slot {
    let ring = overview.cell.ring();
    let fits = |slot: &Slot| {
        overview.table.owner(*slot).unwrap().node.id == id(owner) && ring.owner(*slot) == Some(&id(next))
    };
    Slot::all().find(fits).unwrap()
}

#[test]
fn nodes_are_named_with_how_they_stand_and_what_they_own() {
    let lines = overview(true).nodes();
    let states: Vec<State> = lines.iter().map(|line| line.state).collect();
    assert_eq!(states, [State::Up, State::Up, State::Gone]);
    assert_eq!(lines.iter().map(|line| line.slots).sum::<usize>(), usize::from(SLOTS));
    let ring = overview(true).ring();
    assert_eq!(ring.iter().map(|line| line.ring).sum::<usize>(), usize::from(SLOTS));
    let lost = ring.iter().find(|line| line.node == id("c")).unwrap();
    assert_eq!((lost.ring, lost.astray), (0, lost.owns), "who is gone has no place on the ring");
}

#[test]
fn a_node_that_is_not_fit_is_named_with_what_is_wrong_and_loses_its_slots() {
    let mut overview = overview(true);
    overview.cell.gray = [(id("b"), "its loop runs late".to_owned())].into();
    overview.cell.gone.clear();
    assert_eq!(overview.nodes()[1].state, State::Gray);
    let slot = slot_of(&overview, "b", "a");
    assert_eq!(overview.slot(slot).why.last().unwrap(), "a takes it with its next look");
    let owned = overview.nodes()[1].slots;
    let trouble = format!("b is gray and owns {owned} slots: its loop runs late");
    assert!(overview.troubles().contains(&trouble), "{:?}", overview.troubles());
}

#[test]
fn a_slot_of_a_node_that_is_gone_says_who_takes_it_or_why_nobody_does() {
    let (sure, unsure) = (overview(true), overview(false));
    let (ours, theirs) = (slot_of(&sure, "c", "a"), slot_of(&sure, "c", "b"));
    let last = |overview: &Overview, slot| overview.slot(slot).why.last().cloned().unwrap();
    assert_eq!(last(&sure, ours), "a takes it with its next look");
    assert_eq!(last(&unsure, ours), "a does not take it: no second member confirms that c is gone");
    assert_eq!(
        last(&sure, theirs),
        "a does not take it: this node is not next for the slot on the ring: b is"
    );
    let line = sure.slot(ours);
    assert_eq!((line.owner, line.ring, line.epoch), (Some(id("c")), Some(id("a")), 3));
    assert_eq!(line.why[0], "c owns it since epoch 3, and a sees it gone");
    let own = sure.slot(slot_of(&sure, "a", "a")).why;
    assert_eq!(own, ["a, the node that was asked, owns it since epoch 3"]);
    assert_eq!(sure.slot(slot_of(&sure, "b", "b")).why, ["b owns it since epoch 3, and a sees it up"]);
}

#[test]
fn troubles_are_named_and_a_whole_cell_has_none() {
    let owns = overview(true).nodes()[2].slots;
    assert_eq!(overview(true).troubles(), [format!("c is gone and owns {owns} slots")]);
    let mut alone = overview(true);
    alone.cell.gone.insert(id("b"), true);
    alone.cell.lives.clear();
    assert_eq!(
        alone.troubles()[0],
        "a and those it reaches are 1 of 3 members: without a majority nobody takes slots"
    );
    let mut whole = overview(true);
    whole.cell.gone.clear();
    whole.cell.lives.insert(id("c"), BootId(1));
    assert_eq!(whole.troubles(), Vec::<String>::new());
    whole.table = Arc::new(SlotTable::empty());
    assert_eq!(whole.troubles(), ["4096 slots have no owner"]);
}
