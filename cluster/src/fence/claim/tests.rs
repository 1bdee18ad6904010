//! Every condition of F1 and F2 by itself, and all of them together.

use super::*;
use crate::node::{BootId, CellId};
use proptest::prelude::*;
use std::sync::Arc;

fn node(name: &str, boot: u64) -> Node {
    Node { id: NodeId::parse(name).unwrap(), boot: BootId(boot), cell: CellId::parse("a").unwrap() }
}
fn slot() -> Slot {
    Slot::new(77).unwrap()
}
fn owned(node: &Node, epoch: u64) -> Owner {
    Owner { node: Arc::new(node.clone()), epoch }
}

/// A node of five that may take the slot from an owner that is down.
fn allowed<'a>(me: &'a Node, owner: Option<&'a Owner>) -> ClaimView<'a> {
    ClaimView {
        me,
        slot: slot(),
        owner,
        owner_seen: OwnerSeen::Down,
        second_observer: true,
        successor: Some(&me.id),
        members: 5,
        members_linked: 3,
        loop_lag: Duration::from_millis(99),
    }
}

#[test]
fn a_confirmed_loss_is_claimed_by_the_successor() {
    let (me, dead) = (node("n", 1), owned(&node("m", 1), 8));
    let claim = forced_claim(&allowed(&me, Some(&dead))).unwrap();
    assert_eq!((claim.slot, claim.from_epoch, claim.to.epoch), (slot(), 8, 9));
    assert_eq!((claim.to.node.as_str(), claim.to.boot, claim.to.cell.as_str()), ("n", 1, "a"));
    for owner_seen in [OwnerSeen::Rebooted, OwnerSeen::Yields] {
        let other = ClaimView { owner_seen, ..allowed(&me, Some(&dead)) };
        assert_eq!(forced_claim(&other), Ok(claim.clone()));
    }
}

#[test]
fn each_condition_alone_forbids_it_in_plain_words() {
    let (me, other, dead) = (node("n", 1), node("p", 1), owned(&node("m", 1), 8));
    let base = || allowed(&me, Some(&dead));
    let table = [
        (
            ClaimView { owner_seen: OwnerSeen::Up, ..base() },
            "m owns the slot and is up: only it can hand the slot over",
        ),
        (ClaimView { second_observer: false, ..base() }, "no second member confirms that m is gone"),
        (
            ClaimView { successor: Some(&other.id), ..base() },
            "this node is not next for the slot on the ring: p is",
        ),
        (ClaimView { successor: None, ..base() }, "this node is not next for the slot on the ring"),
        (
            ClaimView { members_linked: 2, ..base() },
            "this node and those it reaches are 2 of 5 configured members, which is no majority",
        ),
        (
            ClaimView { members: 4, members_linked: 2, ..base() },
            "this node and those it reaches are 2 of 4 configured members, which is no majority",
        ),
        (
            ClaimView { loop_lag: Duration::from_millis(100), ..base() },
            "this node itself runs 100 ms late: what it sees of others cannot be trusted",
        ),
    ];
    for (view, words) in table {
        assert_eq!(forced_claim(&view).unwrap_err().to_string(), words);
    }
}

#[test]
fn in_a_cell_of_one_or_two_the_store_is_the_witness() {
    let (me, dead) = (node("n", 1), owned(&node("m", 1), 8));
    for members in [1, 2] {
        let alone =
            ClaimView { second_observer: false, members, members_linked: 1, ..allowed(&me, Some(&dead)) };
        assert!(forced_claim(&alone).is_ok(), "cell of {members}");
        let up = ClaimView { owner_seen: OwnerSeen::Up, ..alone };
        assert!(matches!(forced_claim(&up), Err(ClaimDenied::OwnerUp { .. })), "cell of {members}");
    }
}

#[test]
fn a_restarted_node_takes_its_own_slots_back_without_asking_anyone() {
    let (before, now) = (owned(&node("n", 1), 8), node("n", 2));
    let cut_off = ClaimView {
        owner_seen: OwnerSeen::Rebooted,
        second_observer: false,
        members_linked: 1,
        successor: None,
        ..allowed(&now, Some(&before))
    };
    let claim = forced_claim(&cut_off).unwrap();
    assert_eq!((claim.from_epoch, claim.to.epoch, claim.to.boot), (8, 9, 2));
}

#[test]
fn a_slot_of_this_life_is_not_claimed_again_and_one_of_nobody_needs_no_observers() {
    let me = node("n", 1);
    let mine = owned(&me, 8);
    assert_eq!(forced_claim(&allowed(&me, Some(&mine))), Err(ClaimDenied::Ours { epoch: 8 }));
    let nobody = ClaimView { second_observer: false, owner_seen: OwnerSeen::Up, ..allowed(&me, None) };
    assert_eq!(forced_claim(&nobody).unwrap().to.epoch, 1);
    let minority = ClaimView { members_linked: 2, ..nobody };
    assert!(matches!(forced_claim(&minority), Err(ClaimDenied::Minority { .. })));
}

#[test]
fn only_the_owner_moves_a_slot_and_not_again_within_ten_seconds() {
    let (me, to) = (node("n", 1), node("p", 4));
    let (mine, earlier) = (owned(&me, 8), owned(&node("n", 0), 8));
    let held = HOLD_MIN;
    let base =
        MoveView { me: &me, slot: slot(), owner: Some(&mine), to: &to, held, reason: MoveReason::Balance };
    let claim = planned_move(&base).unwrap();
    assert_eq!((claim.from_epoch, claim.to.epoch, claim.to.node.as_str(), claim.to.boot), (8, 9, "p", 4));
    for owner in [None, Some(&earlier)] {
        assert_eq!(planned_move(&MoveView { owner, ..base.clone() }), Err(MoveDenied::NotOwner));
    }
    let same = MoveView { to: &me, ..base.clone() };
    assert_eq!(planned_move(&same).unwrap_err().to_string(), "the slot is already at n");
    let young = MoveView { held: Duration::from_millis(9_999), ..base.clone() };
    assert_eq!(planned_move(&young), Err(MoveDenied::HeldTooShort { held_ms: 9_999 }));
    assert!(planned_move(&MoveView { reason: MoveReason::Drain, ..young }).is_ok());
}

#[test]
fn an_owner_raises_its_slot_over_a_log_from_elsewhere() {
    let mine = owned(&node("n", 1), 8);
    let claim = raised_claim(slot(), &mine, 31);
    assert_eq!((claim.from_epoch, claim.to.epoch, claim.to.node.as_str()), (8, 31, "n"));
}

proptest! {
    #[test]
    fn a_slot_is_never_taken_from_a_live_peer_nor_by_a_minority_of_three_or_more(
        seen in 0u8..4, second: bool, next: bool, members in 1usize..9, up in 1usize..9, lag in 0u64..200,
        owner in 0u8..4,
    ) {
        let (me, other) = (node("n", 2), node("p", 1));
        let owner = [None, Some(owned(&me, 3)), Some(owned(&node("n", 1), 3)), Some(owned(&other, 3))]
            [usize::from(owner)].clone();
        let view = ClaimView {
            me: &me,
            slot: slot(),
            owner: owner.as_ref(),
            owner_seen: [OwnerSeen::Up, OwnerSeen::Down, OwnerSeen::Rebooted, OwnerSeen::Yields]
                [usize::from(seen)],
            second_observer: second,
            successor: Some(if next { &me.id } else { &other.id }),
            members,
            members_linked: up.min(members),
            loop_lag: Duration::from_millis(lag),
        };
        let Ok(claim) = forced_claim(&view) else { return Ok(()) };
        prop_assert_eq!(claim.to.epoch, claim.from_epoch + 1);
        prop_assert_eq!((claim.to.node.as_str(), claim.to.boot), ("n", 2));
        let foreign = owner.as_ref().is_some_and(|o| o.node.id == other.id);
        prop_assert!(!foreign || view.owner_seen != OwnerSeen::Up);
        prop_assert!(!foreign || members <= 2 || (second && view.members_linked * 2 > members));
        prop_assert!(!foreign || (next && lag < 100));
    }
}
