//! The plan by itself, then the shell over a small slot table that refuses, races and forgets to answer.

use super::*;
use crate::{
    host::{Blocking, Entropy, Machine},
    node::{BootId, CellId},
};
use futures::future::BoxFuture;
use proto::v1::SlotRow;
use std::sync::{Arc, Mutex};

fn node(name: &str, boot: u64) -> Node {
    Node { id: NodeId::parse(name).unwrap(), boot: BootId(boot), cell: CellId::parse("a").unwrap() }
}
fn owned(node: &Node, epoch: u64) -> Owner {
    Owner { node: Arc::new(node.clone()), epoch }
}
fn all_of(node: &Node, epoch: u64) -> BTreeMap<Slot, Owner> {
    Slot::all().map(|slot| (slot, owned(node, epoch))).collect()
}
fn members(names: &[&str]) -> BTreeSet<NodeId> {
    names.iter().map(|name| NodeId::parse(name).unwrap()).collect()
}

/// What goes wrong with a call to claim.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trouble {
    /// Nothing is applied and no answer comes.
    Lost,
    /// All is applied and no answer comes.
    AnswerLost,
    /// Another node takes this slot just before.
    Raced(u16),
}

/// The rows, one compare-and-set at a time, and the troubles of the next calls.
#[derive(Default)]
struct Rows {
    rows: Mutex<BTreeMap<Slot, SlotRow>>,
    troubles: Mutex<Vec<Trouble>>,
    calls: Mutex<Vec<usize>>,
    unreadable: bool,
}

impl Rows {
    fn with(rows: &BTreeMap<Slot, Owner>) -> Arc<Self> {
        let row = |(slot, owner): (&Slot, &Owner)| {
            let claim = Owner::claim(*slot, None, &owner.node);
            (*slot, SlotRow { epoch: owner.epoch, ..claim.to })
        };
        Arc::new(Self { rows: Mutex::new(rows.iter().map(row).collect()), ..Self::default() })
    }
    fn set(&self, claim: Claim) -> ClaimOutcome {
        let mut rows = self.rows.lock().unwrap();
        let there = rows.get(&claim.slot).cloned().unwrap_or_default();
        if there.epoch != claim.from_epoch {
            return ClaimOutcome::Refused(there);
        }
        rows.insert(claim.slot, claim.to);
        ClaimOutcome::Applied
    }
}

impl Claims for Rows {
    fn read(&self, partition: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
        assert!(partition < PARTITIONS);
        let of = |slot: &Slot| slot.number() / SLOTS_PER_PARTITION == partition;
        let rows = self.rows.lock().unwrap();
        let rows = rows.iter().filter(|(slot, _)| of(slot)).map(|(slot, row)| (*slot, row.clone())).collect();
        let answer = if self.unreadable { Err(ClaimsError("cut off".into())) } else { Ok(rows) };
        Box::pin(async move { answer })
    }
    fn claim(&self, claims: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
        self.calls.lock().unwrap().push(claims.len());
        let trouble = self.troubles.lock().unwrap().pop();
        if let Some(Trouble::Raced(slot)) = trouble {
            let rival = Owner::claim(Slot::new(slot).unwrap(), None, &node("rival", 1));
            assert_eq!(self.set(rival), ClaimOutcome::Applied);
        }
        let lost = || Err(ClaimsError("timed out".into()));
        let answer = match trouble {
            Some(Trouble::Lost) => lost(),
            _ => Ok(claims.into_iter().map(|claim| self.set(claim)).collect()),
        };
        let answer = if trouble == Some(Trouble::AnswerLost) { lost() } else { answer };
        Box::pin(async move { answer })
    }
}

/// A machine whose sleeps are over at once, and counted.
#[derive(Default)]
struct Still(Mutex<Vec<Duration>>);

impl Machine for Still {
    fn now_us(&self) -> u64 {
        0
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(delay);
        Box::pin(async {})
    }
    fn spawn(&self, _: &'static str, _: BoxFuture<'static, ()>) {
        unreachable!("the claimant starts no tasks")
    }
    fn spawn_on(&self, _: usize, _: &'static str, _: BoxFuture<'static, ()>) {
        unreachable!("the claimant starts no tasks")
    }
    fn shards(&self) -> usize {
        1
    }
    fn blocking(&self, _: Blocking) -> BoxFuture<'static, ()> {
        unreachable!("the claimant does not block")
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}
fn start(rows: &Rows, me: &Node, cell: &CellView) -> Result<Claimed, ClaimantError> {
    let host = Host::new(Arc::new(Still::default()), Entropy::from_u64(1));
    run(claim_slots(rows, me, cell, &host))
}
fn epochs(claimed: &Claimed, me: &Node) -> BTreeSet<u64> {
    assert_eq!(claimed.rows.len(), usize::from(SLOTS));
    assert!(claimed.rows.iter().all(|(_, owner)| *owner.node == *me));
    claimed.rows.iter().map(|(_, owner)| owner.epoch).collect()
}

#[test]
fn a_first_start_claims_every_slot_in_few_calls() {
    let (rows, me) = (Rows::default(), node("n", 1));
    let claimed = start(&rows, &me, &CellView::alone(&me)).unwrap();
    assert_eq!(epochs(&claimed, &me), [1].into());
    assert_eq!((claimed.claimed, claimed.denied.len()), (4096, 0));
    assert_eq!(*rows.calls.lock().unwrap(), [CLAIMS_PER_CALL; 4]);
}

#[test]
fn a_restart_raises_every_epoch_by_one() {
    let rows = Rows::default();
    for life in 1..=3 {
        let me = node("n", 100 + life);
        let claimed = start(&rows, &me, &CellView::alone(&me)).unwrap();
        assert_eq!(epochs(&claimed, &me), [life].into());
        assert_eq!(claimed.claimed, 4096);
    }
}

#[test]
fn the_same_life_claims_nothing_twice() {
    let me = node("n", 1);
    let rows = Rows::with(&all_of(&me, 6));
    let claimed = start(&rows, &me, &CellView::alone(&me)).unwrap();
    assert_eq!((claimed.claimed, epochs(&claimed, &me)), (0, [6].into()));
    assert!(rows.calls.lock().unwrap().is_empty());
}

#[test]
fn the_slots_of_another_live_owner_are_not_taken() {
    let (me, other) = (node("n", 2), node("m", 1));
    let mut before = all_of(&node("n", 1), 4);
    let foreign: Vec<Slot> = Slot::all().filter(|slot| slot.number() % 3 == 0).collect();
    before.extend(foreign.iter().map(|slot| (*slot, owned(&other, 9))));
    let claimed = start(&Rows::with(&before), &me, &CellView::alone(&me)).unwrap();
    assert_eq!(claimed.claimed, 4096 - foreign.len());
    let denied: Vec<Slot> = claimed.denied.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(denied, foreign);
    let up = ClaimDenied::OwnerUp { owner: other.id.clone() };
    assert!(claimed.denied.iter().all(|(_, why)| *why == up));
    for (slot, owner) in claimed.rows {
        let expected = if slot.number() % 3 == 0 { owned(&other, 9) } else { owned(&me, 5) };
        assert_eq!(owner, expected);
    }
}

#[test]
fn claims_that_were_lost_are_made_again_and_those_whose_answer_was_lost_are_found() {
    for trouble in [Trouble::Lost, Trouble::AnswerLost] {
        let (rows, me) = (Rows::default(), node("n", 1));
        rows.troubles.lock().unwrap().extend([trouble; 2]);
        let claimed = start(&rows, &me, &CellView::alone(&me)).unwrap();
        assert_eq!((epochs(&claimed, &me), claimed.claimed), ([1].into(), 4096), "{trouble:?}");
    }
}

#[test]
fn a_slot_that_another_took_meanwhile_stays_with_it() {
    let (rows, me) = (Rows::default(), node("n", 1));
    rows.troubles.lock().unwrap().push(Trouble::Raced(70));
    let claimed = start(&rows, &me, &CellView::alone(&me)).unwrap();
    assert_eq!(claimed.claimed, 4095);
    let rival = node("rival", 1);
    assert_eq!(claimed.rows[70].1, owned(&rival, 1));
    assert_eq!(claimed.denied, [(claimed.rows[70].0, ClaimDenied::OwnerUp { owner: rival.id })]);
}

#[test]
fn a_store_that_never_answers_ends_the_start_with_its_reason_after_bounded_rounds() {
    let (rows, me) = (Rows { unreadable: true, ..Rows::default() }, node("n", 1));
    let machine = Arc::new(Still::default());
    let host = Host::new(machine.clone(), Entropy::from_u64(1));
    let error = run(claim_slots(&rows, &me, &CellView::alone(&me), &host)).unwrap_err();
    assert_eq!(error, ClaimantError::Claims(ClaimsError("cut off".into())));
    assert_eq!(machine.0.lock().unwrap().len(), 6);
}

#[test]
fn a_damaged_row_ends_the_start_at_once() {
    let me = node("n", 1);
    let rows = Rows::with(&all_of(&me, 1));
    rows.rows.lock().unwrap().get_mut(&Slot::new(5).unwrap()).unwrap().node = "no name".into();
    let error = start(&rows, &me, &CellView::alone(&me)).unwrap_err();
    assert!(error.to_string().starts_with("the row of slot 5 is damaged"), "{error}");
}

#[test]
fn survivors_of_three_share_the_slots_of_the_lost_one_without_overlap() {
    let all = members(&["m", "n", "p"]);
    let lost = node("m", 1);
    let cell = CellView { gone: [(lost.id.clone(), true)].into(), ..CellView::starting(all) };
    let rows = all_of(&lost, 4);
    let taken = |me: &Node, cell: &CellView| -> BTreeSet<Slot> {
        plan(&rows, me, cell, &cell.ring()).claims.into_iter().map(|claim| claim.slot).collect()
    };
    let of = |name, other| {
        let lives = [(node(other, 1).id, BootId(1))].into();
        taken(&node(name, 1), &CellView { lives, ..cell.clone() })
    };
    assert!(taken(&node("n", 1), &cell).is_empty(), "p is not missed yet, and does not answer: no majority");
    let (n, p) = (of("n", "p"), of("p", "n"));
    assert_eq!((n.len() + p.len(), n.intersection(&p).count()), (4096, 0));
    assert!(n.len() > 1300 && p.len() > 1300, "{} and {}", n.len(), p.len());
}

#[test]
fn the_slots_of_a_node_that_says_it_is_not_fit_go_to_the_others_which_see_it_up() {
    let nodes = ["m", "n", "p"].map(|name| node(name, 1));
    let gray = [(nodes[0].id.clone(), "late".to_owned())].into();
    let lives = nodes.iter().map(|node| (node.id.clone(), node.boot)).collect();
    let cell = CellView { gray, lives, ..CellView::starting(members(&["m", "n", "p"])) };
    let rows = all_of(&nodes[0], 1);
    let taken = |node: &Node| plan(&rows, node, &cell, &cell.ring());
    assert_eq!(taken(&nodes[0]), Plan::default(), "what is its own stays its own until others take it");
    assert!(taken(&nodes[1]).claims.is_empty(), "there is no hurry");
    assert_eq!(taken(&nodes[1]).yielded.len() + taken(&nodes[2]).yielded.len(), usize::from(SLOTS));
}

#[test]
fn who_yields_is_taken_at_its_word_by_a_node_that_does_not_reach_it_either() {
    let nodes = ["m", "n", "p"].map(|name| node(name, 1));
    let (id, rows) = (nodes[0].id.clone(), all_of(&nodes[0], 1));
    let ailing: BTreeMap<_, _> = [(id.clone(), "it has no link to p, and others have".to_owned())].into();
    let lives = |of: &[Node]| of.iter().map(|node| (node.id.clone(), node.boot)).collect();
    let taken = |me: &Node, of: &[Node], gone: BTreeMap<NodeId, bool>| {
        let cell = CellView { lives: lives(of), gone, ..CellView::starting(members(&["m", "n", "p"])) };
        let cell = CellView { gray: cell.gray_of(ailing.clone()), ..cell };
        plan(&rows, me, &cell, &cell.ring())
    };
    let reached = taken(&nodes[1], &nodes, BTreeMap::new());
    let beyond = taken(&nodes[2], &nodes[1..], [(id.clone(), false)].into());
    assert_eq!(beyond.yielded.len() + reached.yielded.len(), usize::from(SLOTS));
    let lost = taken(&nodes[2], &nodes[1..], [(id, true)].into());
    assert_eq!((lost.claims.len(), lost.yielded.len()), (beyond.yielded.len(), 0), "two say that it is gone");
}

#[test]
fn of_nodes_that_are_not_fit_at_most_half_of_the_cell_is_taken_at_its_word() {
    let ailing = |names: &[&str]| -> BTreeMap<NodeId, String> {
        members(names).into_iter().map(|node| (node, "late".to_owned())).collect()
    };
    let gray = |cell: &CellView, names: &[&str]| -> Vec<String> {
        cell.gray_of(ailing(names)).keys().map(NodeId::to_string).collect()
    };
    let of = |names: &[&str]| CellView::starting(members(names));
    assert_eq!(gray(&of(&["m"]), &["m"]), [""; 0], "nobody else would own the slots");
    assert_eq!(gray(&of(&["m", "n"]), &["m", "n"]), ["m"]);
    let with_stranger = gray(&of(&["m", "n", "p", "q"]), &["n", "p", "q", "stranger"]);
    assert_eq!(with_stranger, ["n", "p", "stranger"], "who is no member is not needed to own slots");
    let lost = CellView { gone: [(node("m", 1).id, true)].into(), ..of(&["m", "n", "p", "q"]) };
    assert_eq!(gray(&lost, &["m", "n", "p"]), ["n"], "who is gone is no use either");
}

#[test]
fn one_of_three_that_sees_nobody_claims_nothing() {
    let names = members(&["m", "p"]);
    let gone = names.into_iter().map(|name| (name, true)).collect();
    let cell = CellView { gone, ..CellView::starting(members(&["m", "n", "p"])) };
    let planned = plan(&all_of(&node("m", 1), 4), &node("n", 1), &cell, &cell.ring());
    assert_eq!((planned.claims.len(), planned.denied.len()), (0, 4096));
    let linked = ["n", "gate"].map(|name| cell.members_linked(&node(name, 1).id));
    assert_eq!(linked, [1, 0], "whoever is no member does not count");
    assert!(planned.denied.iter().all(|(_, why)| *why == ClaimDenied::Minority { linked: 1, members: 3 }));
}

#[test]
fn a_slot_of_an_earlier_life_is_free_and_one_of_the_present_life_is_not() {
    let (me, cell) = (node("n", 1), members(&["m", "n", "p"]));
    let view = |boot| CellView {
        lives: [(NodeId::parse("m").unwrap(), BootId(boot))].into(),
        ..CellView::starting(cell.clone())
    };
    let rows = all_of(&node("m", 1), 4);
    assert_eq!(plan(&rows, &me, &view(1), &view(1).ring()).claims, []);
    let planned = plan(&rows, &me, &view(2), &view(2).ring());
    assert!(planned.claims.len() > 1000, "its share of the slots of the earlier life");
}
