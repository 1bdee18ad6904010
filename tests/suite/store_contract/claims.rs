//! Compare-and-set of slots.

use super::Engine;
use super::draft::slot;
use cluster::claims::{Claim, ClaimOutcome, SLOTS_PER_PARTITION};
use proto::v1::SlotRow;

fn row(epoch: u64, node: &str) -> SlotRow {
    SlotRow { epoch, node: node.into(), boot: 1, cell: "a".into() }
}
fn claim(number: u16, from_epoch: u64, to: SlotRow) -> Claim {
    Claim { slot: slot(number), from_epoch, to }
}

pub async fn a_slot_is_claimed_once_and_then_by_its_epoch(store: impl Engine) {
    let first = store.claim(vec![claim(5, 0, row(1, "n1"))]).await.expect("outcomes");
    assert_eq!(first, [ClaimOutcome::Applied]);
    let second = store.claim(vec![claim(5, 0, row(1, "n2"))]).await.expect("outcomes");
    assert_eq!(second, [ClaimOutcome::Refused(row(1, "n1"))]);
    let moved = store.claim(vec![claim(5, 1, row(2, "n2"))]).await.expect("outcomes");
    assert_eq!(moved, [ClaimOutcome::Applied]);
    let raised = store.claim(vec![claim(5, 2, row(9, "n2"))]).await.expect("outcomes");
    assert_eq!(raised, [ClaimOutcome::Applied]);
    assert_eq!(store.read(0).await.expect("rows"), [(slot(5), row(9, "n2"))]);
}

pub async fn each_claim_of_a_batch_stands_alone(store: impl Engine) {
    store.claim(vec![claim(1, 0, row(1, "n1"))]).await.expect("outcomes");
    let batch = vec![claim(0, 0, row(1, "n2")), claim(1, 0, row(1, "n2")), claim(2, 0, row(1, "n2"))];
    let outcomes = store.claim(batch).await.expect("outcomes");
    assert_eq!(outcomes, [ClaimOutcome::Applied, ClaimOutcome::Refused(row(1, "n1")), ClaimOutcome::Applied]);
    let never_owned = store.claim(vec![claim(3, 4, row(5, "n2"))]).await.expect("outcomes");
    assert_eq!(never_owned, [ClaimOutcome::Refused(SlotRow::default())]);
    assert_eq!(store.claim(Vec::new()).await.expect("outcomes"), []);
}

pub async fn a_partition_lists_its_slots_only(store: impl Engine) {
    let numbers = [0, SLOTS_PER_PARTITION - 1, SLOTS_PER_PARTITION, 4095];
    let claims = numbers.map(|number| claim(number, 0, row(1, &format!("n{number}"))));
    store.claim(claims.to_vec()).await.expect("outcomes");
    let mut seen = Vec::new();
    for partition in [0, 1, 2, 63] {
        let rows = store.read(partition).await.expect("rows");
        seen.push(rows.iter().map(|(slot, _)| slot.number()).collect::<Vec<_>>());
    }
    assert_eq!(seen, [vec![0, 63], vec![64], vec![], vec![4095]]);
}
