//! A full or broken disk: named answers, reads go on, and the store recovers by itself.

use super::config;
use super::draft::Log;
use crate::inline::Inline;
use actors::store::{Append, Appended, Store, StoreError};
use cells::storage::RedbStore;
use cluster::claims::{Claim, Claims};
use proto::v1::SlotRow;
use simulations::world::disk::SimDisk;
use std::time::Duration;

struct Bench {
    machine: Inline,
    disk: SimDisk,
    store: RedbStore,
    log: Log,
}

impl Bench {
    fn new() -> Self {
        let (machine, disk) = (Inline::new(), SimDisk::new());
        let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("an empty disk");
        let mut log = Log::new("C1");
        machine.run(log.fill(&store, 200));
        Self { machine, disk, store, log }
    }
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.machine.run(self.store.append(append))
    }
    fn tail(&self) -> u64 {
        self.machine.run(self.store.head(&self.log.id)).expect("a head").expect("rows").1.tail
    }
    fn rest(&self) {
        self.machine.clock().advance(Duration::from_secs(1));
    }
    /// What the store holds after a power cut, now.
    fn tail_after_restart(&self) -> u64 {
        let disk = SimDisk::holding(self.disk.bytes());
        let store = RedbStore::open(self.machine.host(), disk, config()).expect("the file opens");
        self.machine.run(store.head(&self.log.id)).expect("a head").expect("rows").1.tail
    }
}

/// Appends that need more and more room until one is refused.
fn fill_up(bench: &mut Bench) -> u64 {
    bench.disk.set_room(Some(8));
    let large = "x".repeat(100_000);
    for _ in 0..1000 {
        let append = bench.log.clone().shown(&[&large]);
        match bench.append(append.clone()) {
            Ok(outcome) => {
                assert_eq!(outcome, Appended::Applied);
                bench.log.take(&append);
            }
            Err(why) => {
                assert!(matches!(why, StoreError::Full(_)), "{why:?}");
                return bench.log.tail;
            }
        }
    }
    panic!("the disk never was full");
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_recovers_when_there_is_room() {
    let mut bench = Bench::new();
    let tail = fill_up(&mut bench);
    for _ in 0..20 {
        bench.rest();
        assert_eq!(bench.tail(), tail);
        let page = bench.machine.run(bench.store.log(&bench.log.id, 0, 200)).expect("reads go on");
        assert_eq!(page.events.len(), 200);
        let refused = bench.append(bench.log.clone().shown(&[&"y".repeat(500_000)]));
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    }
    bench.disk.set_room(None);
    bench.rest();
    let next = bench.log.shown(&["there is room again"]);
    assert_eq!(bench.append(next), Ok(Appended::Applied));
    assert_eq!(bench.tail(), tail + 1);
    assert_eq!(bench.tail_after_restart(), tail + 1);
}

#[test]
fn while_the_disk_is_full_writes_are_refused_without_touching_it() {
    let mut bench = Bench::new();
    fill_up(&mut bench);
    bench.disk.set_room(None);
    let refused = bench.append(bench.log.clone().posts(&["too soon"]));
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    let to = SlotRow { epoch: 1, ..SlotRow::default() };
    let claim = Claim { slot: super::draft::slot(1), from_epoch: 0, to };
    assert!(bench.machine.run(bench.store.claim(vec![claim])).is_err());
    bench.rest();
    assert_eq!(bench.append(bench.log.clone().posts(&["now"])), Ok(Appended::Applied));
}

/// Breaks the disk after each number of changes within one commit, and repairs it afterwards.
#[test]
fn whatever_change_of_a_commit_fails_the_answer_is_true() {
    let mut outcomes = [0; 4];
    for changes in 0..60 {
        let mut bench = Bench::new();
        let tail = bench.tail();
        bench.disk.break_in(Some(changes));
        let append = bench.log.shown(&["the disk breaks under this"]);
        let answer = bench.append(append.clone());
        let reads = bench.machine.run(bench.store.head(&bench.log.id));
        match (&answer, &reads) {
            (Err(StoreError::Unknown(_)), Err(StoreError::Unavailable(_))) | (Ok(_), Ok(_)) => {}
            (Err(StoreError::Unavailable(_)), Ok(Some((_, head)))) => assert_eq!(head.tail, tail),
            other => panic!("{other:?}"),
        }
        bench.disk.break_in(None);
        bench.rest();
        let now = bench.tail();
        assert_eq!(bench.tail_after_restart(), now, "what is served is what is kept");
        match answer {
            Ok(Appended::Applied) => {
                assert_eq!(now, tail + 1);
                outcomes[0] += 1;
            }
            Err(StoreError::Unavailable(_)) => {
                assert_eq!(now, tail, "nothing was written");
                outcomes[1] += 1;
            }
            Err(StoreError::Unknown(_)) => outcomes[2] += 1,
            other => panic!("{other:?}"),
        }
        let again = bench.append(append);
        let expected = if now == tail { Appended::Applied } else { Appended::Already };
        assert_eq!(again, Ok(expected), "the same batch settles it");
        assert_eq!(bench.tail(), tail + 1);
    }
    println!("applied {}, not applied {}, unknown {}", outcomes[0], outcomes[1], outcomes[2]);
    assert!(outcomes[0] > 0 && outcomes[1] + outcomes[2] > 0, "{outcomes:?}");
}

#[test]
fn a_single_fault_is_settled_without_troubling_the_caller() {
    let mut settled = 0;
    for changes in 0..60 {
        let mut bench = Bench::new();
        let tail = bench.tail();
        bench.disk.fail_once_in(changes);
        let append = bench.log.shown(&["one change fails"]);
        match bench.append(append.clone()) {
            Ok(Appended::Applied) => assert_eq!(bench.tail(), tail + 1),
            Err(StoreError::Unavailable(_)) => {
                settled += 1;
                assert_eq!(bench.tail(), tail, "known at once: nothing was written");
                assert_eq!(bench.append(append), Ok(Appended::Applied));
            }
            other => panic!("a disk that works again settles everything: {other:?}"),
        }
        assert_eq!(bench.tail_after_restart(), tail + 1);
    }
    assert!(settled > 0);
}
