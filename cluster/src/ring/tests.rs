//! What placement promises: the same for the same set, few moves, bounded load, golden values.

use super::*;
use crate::slots::{SLOTS, SLOTS_PER_BLOCK};
use std::collections::BTreeMap;

fn names(n: usize) -> Vec<NodeId> {
    (1..=n).map(|i| NodeId::parse(&format!("node-{i}")).unwrap()).collect()
}
/// Slots of each node.
fn loads(ring: &Ring) -> BTreeMap<&NodeId, usize> {
    let mut loads: BTreeMap<&NodeId, usize> = ring.nodes().iter().map(|node| (node, 0)).collect();
    ring.placement().into_iter().for_each(|node| *loads.entry(node).or_default() += 1);
    loads
}
/// Slots that change hands when each of the nodes leaves alone.
fn moves(n: usize) -> Vec<usize> {
    let ring = Ring::new(names(n));
    let before = ring.placement();
    let without = |gone: &NodeId| Ring::new(ring.nodes().iter().filter(|node| *node != gone).cloned());
    let moved = |after: Ring| after.placement().iter().zip(&before).filter(|(a, b)| a != b).count();
    ring.nodes().iter().map(|gone| moved(without(gone))).collect()
}

#[test]
fn the_order_and_number_of_insertions_do_not_matter() {
    let forward = Ring::new(names(9));
    let backward = Ring::new(names(9).into_iter().rev());
    let twice = Ring::new(names(9).into_iter().chain(names(5)));
    assert_eq!(forward.placement(), backward.placement());
    assert_eq!(forward.placement(), twice.placement());
    assert_eq!(twice.nodes().len(), 9);
}

#[test]
fn an_empty_ring_places_nothing_and_one_node_gets_everything() {
    let empty = Ring::new([]);
    assert_eq!(empty.owner(Slot::new(5).unwrap()), None);
    assert!(empty.placement().is_empty());
    let alone = Ring::new(names(1));
    assert_eq!(alone.placement().len(), usize::from(SLOTS));
    assert!(Slot::all().all(|slot| alone.owner(slot) == Some(&names(1)[0])));
}

#[test]
fn one_slot_asked_alone_is_where_the_whole_placement_has_it() {
    let ring = Ring::new(names(7));
    for (slot, node) in Slot::all().zip(ring.placement()).step_by(37) {
        assert_eq!(ring.owner(slot), Some(node));
    }
}

#[test]
fn a_node_that_leaves_moves_at_most_one_and_a_half_of_its_share() {
    for n in 2..=14 {
        for moved in moves(n) {
            assert!(2 * n * moved <= 3 * usize::from(SLOTS), "one of {n} leaves: {moved} slots move");
        }
    }
}

#[test]
fn a_node_that_joins_moves_at_most_one_and_a_half_of_its_share_on_the_mean() {
    for n in [3, 8, 16, 32] {
        let total: usize = moves(n).iter().sum();
        assert!(2 * total <= 3 * usize::from(SLOTS), "{n} nodes: {total} moves for {n} changes");
    }
}

#[test]
fn no_node_carries_a_third_more_than_the_mean() {
    for n in 2..=14 {
        let ring = Ring::new(names(n));
        let most = loads(&ring).into_values().max().unwrap();
        assert!(3 * n * most <= 4 * usize::from(SLOTS), "{n} nodes: one has {most} slots");
    }
}

#[test]
fn a_block_stands_on_four_nodes_at_most_and_on_nearly_four_when_there_are_many() {
    let ring = Ring::new(names(9));
    let placement = ring.placement();
    let spread: Vec<usize> = placement
        .chunks(usize::from(SLOTS_PER_BLOCK))
        .map(|block| block.iter().collect::<BTreeSet<_>>().len())
        .collect();
    assert!(spread.iter().all(|nodes| (2..=4).contains(nodes)), "{spread:?}");
    assert!(10 * spread.iter().sum::<usize>() >= 38 * spread.len(), "mean below 3.8 nodes a block");
    let every_fourth = |block: &[&NodeId]| (4..16).all(|slot| block[slot] == block[slot % 4]);
    assert!(placement.chunks(16).all(every_fourth), "a lane is every fourth slot");
}

#[test]
fn placement_is_the_same_in_every_build() {
    let ring = Ring::new(names(5));
    let of = |slot| ring.owner(Slot::new(slot).unwrap()).unwrap().as_str();
    let golden = [0, 1, 2, 3, 1000, 1001, 2049, 2050, 4094, 4095].map(of);
    assert_eq!(
        golden,
        ["node-3", "node-2", "node-4", "node-2", "node-4", "node-5", "node-3", "node-2", "node-1", "node-2"]
    );
    let mut all = String::new();
    ring.placement().into_iter().for_each(|node| all += node.as_str());
    assert_eq!(xxhash_rust::xxh3::xxh3_64(all.as_bytes()), 6_583_856_070_652_971_550);
}
