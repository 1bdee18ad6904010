//! Group commit on a real machine: many senders share one sync.

use super::draft::Log;
use super::{Folder, config, with_machine};
use crate::inline::Inline;
use actors::store::{Appended, Store, StoreError};
use cells::storage::{OpenError, RedbStore, StorageConfig};
use cluster::host::Host;
use futures::future::join_all;
use redb::StorageBackend;
use simulations::world::disk::SimDisk;
use std::sync::atomic::Ordering::Relaxed;

const SENDERS: usize = 64;
const ROUNDS: u64 = 32;

/// Every sender posts its rounds one after the other, each waiting for its answer.
async fn send_all(host: &Host, store: &RedbStore) {
    let (done, mut ends) = tokio::sync::mpsc::channel(SENDERS);
    for n in 0..SENDERS {
        let (store, done) = (store.clone(), done.clone());
        host.spawn("test.sender", async move {
            let mut log = Log::new(&format!("C{n}"));
            for round in 0..ROUNDS {
                log.post(&store, &[&format!("round {round}")]).await;
            }
            done.send(log.tail).await.expect("the test waits");
        });
    }
    drop(done);
    let mut tails = Vec::new();
    while let Some(tail) = ends.recv().await {
        tails.push(tail);
    }
    assert_eq!(tails, vec![ROUNDS; SENDERS]);
}

fn assert_grouped(store: &RedbStore, syncs: u64) {
    let (commits, appends) = (store.counts().commits.load(Relaxed), store.counts().appends.load(Relaxed));
    assert_eq!(appends, SENDERS as u64 * ROUNDS);
    assert!(commits <= appends / 8, "{commits} commits for {appends} appends");
    assert!(syncs <= appends / 8, "{syncs} syncs for {appends} appends");
}

#[test]
fn sixty_four_senders_share_syncs_on_a_real_machine() {
    with_machine(|machine, host| {
        let disk = SimDisk::new();
        let store = RedbStore::open(host.clone(), disk.clone(), config()).expect("an empty disk");
        let before = disk.syncs();
        machine.block_on(send_all(&host, &store));
        assert_grouped(&store, disk.syncs() - before);
        machine.block_on(store.close());
    });
}

#[test]
fn sixty_four_senders_share_syncs_in_one_thread() {
    let machine = Inline::new();
    let disk = SimDisk::new();
    let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("an empty disk");
    let before = disk.syncs();
    machine.run(send_all(&machine.host(), &store));
    assert_grouped(&store, disk.syncs() - before);
}

#[test]
fn what_is_queued_when_the_store_closes_is_kept_and_what_comes_later_refused() {
    with_machine(|machine, host| {
        let folder = Folder::new();
        let store = RedbStore::open_file(host.clone(), &folder.file(), config()).expect("a new file");
        let mut logs: Vec<Log> = (0..100).map(|n| Log::new(&format!("C{n}"))).collect();
        let queued: Vec<_> = logs.iter_mut().map(|log| store.append(log.shown(&["kept"]))).collect();
        machine.block_on(store.close());
        for outcome in machine.block_on(join_all(queued)) {
            assert_eq!(outcome, Ok(Appended::Applied));
        }
        let late = machine.block_on(store.append(logs[0].posts(&["late"])));
        assert!(matches!(late, Err(StoreError::Unavailable(_))), "{late:?}");
        assert!(matches!(machine.block_on(store.head(&logs[0].id)), Err(StoreError::Unavailable(_))));
        machine.block_on(store.close());
        let again = RedbStore::open_file(host, &folder.file(), config()).expect("the lock is gone");
        let head = machine.block_on(again.head(&logs[99].id)).expect("a head");
        assert_eq!(head.map(|(_, head)| head.tail), Some(1));
        machine.block_on(again.close());
    });
}

#[test]
fn a_full_queue_answers_busy_and_the_rest_is_applied() {
    let machine = Inline::new();
    let config = StorageConfig { queue_jobs_max: 8, ..config() };
    let store = RedbStore::open(machine.host(), SimDisk::new(), config).expect("an empty disk");
    let queued: Vec<_> = (0..12).map(|n| store.append(Log::new(&format!("C{n}")).posts(&["x"]))).collect();
    let outcomes = machine.run(join_all(queued));
    assert_eq!(outcomes[..8], vec![Ok(Appended::Applied); 8]);
    assert_eq!(outcomes[8..], vec![Err(StoreError::Busy); 4]);
    let later = machine.run(store.append(Log::new("C9").posts(&["x"])));
    assert_eq!(later, Ok(Appended::Applied));
}

#[test]
fn a_queue_full_of_bytes_answers_busy() {
    let machine = Inline::new();
    let config = StorageConfig { queue_bytes_max: 100_000, ..config() };
    let store = RedbStore::open(machine.host(), SimDisk::new(), config).expect("an empty disk");
    let large = "x".repeat(40_000);
    let queued: Vec<_> = (0..3).map(|n| store.append(Log::new(&format!("C{n}")).posts(&[&large]))).collect();
    let outcomes = machine.run(join_all(queued));
    assert_eq!(outcomes, [Ok(Appended::Applied), Err(StoreError::Busy), Err(StoreError::Busy)]);
}

#[test]
fn a_second_process_is_refused_at_once_and_the_first_goes_on() {
    with_machine(|machine, host| {
        let folder = Folder::new();
        let store = RedbStore::open_file(host.clone(), &folder.file(), config()).expect("a new file");
        let second = RedbStore::open_file(host.clone(), &folder.file(), config());
        let why = second.map(|_| ()).expect_err("the file is locked");
        assert!(matches!(&why, OpenError::At { why, .. } if matches!(**why, OpenError::Locked)), "{why}");
        assert!(why.to_string().contains("store.redb"), "{why}");
        let mut log = Log::new("C1");
        machine.block_on(log.post(&store, &["still here"]));
        let head = machine.block_on(store.head(&log.id)).expect("a head");
        assert_eq!(head.map(|(_, head)| head.tail), Some(1));
        machine.block_on(store.close());
    });
}

#[test]
fn everything_is_there_after_closing_and_opening_again() {
    let machine = Inline::new();
    let disk = SimDisk::new();
    let mut log = Log::new("C1");
    for round in 0..3 {
        let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("a store");
        let tail = machine.run(store.head(&log.id)).expect("a head").map_or(0, |(_, head)| head.tail);
        assert_eq!(tail, round * 10);
        machine.run(log.fill(&store, 10));
        machine.run(store.close());
    }
    assert!(disk.len().expect("a size") > 0);
}
