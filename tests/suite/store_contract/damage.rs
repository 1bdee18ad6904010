//! A damaged file: refused with what and where, never overwritten; never a wrong row.

use super::draft::{Log, STEP_US, everything, text, texts, user};
use super::{Folder, config, with_machine};
use crate::inline::Inline;
use actors::store::{LogId, MessageRange, Store, StoreError, ViewWrite};
use cells::storage::{OpenError, RedbStore, StorageConfig};
use cluster::host::Entropy;
use proto::id::UserId;
use proto::v1::{Event, MemberRow, MessageRow};
use simulations::world::disk::SimDisk;
use std::collections::BTreeMap;

const LOGS: usize = 12;
const POSTS: usize = 40;
/// Bytes that are damaged, one at a time, all over the file.
const FLIPS: u64 = 400;

/// redb's header: magic number, flags, layout and two commit slots.
const HEADER_BYTES: usize = 320;

/// A store with some of everything, and what it holds.
struct Kept {
    bytes: Vec<u8>,
    logs: Vec<LogId>,
    events: BTreeMap<LogId, Vec<Event>>,
    messages: BTreeMap<LogId, Vec<MessageRow>>,
    members: Vec<UserId>,
}

fn kept(closed: bool) -> Kept {
    let machine = Inline::new();
    let disk = SimDisk::new();
    let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("an empty disk");
    let members: Vec<UserId> = (0..20).map(|n| user(&format!("U{n}"))).collect();
    machine.run(async {
        let (mut events, mut messages, mut logs) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for n in 0..LOGS {
            let mut log = Log::new(&format!("C{n}"));
            log.fill(&store, POSTS).await;
            let member =
                |m: usize| ViewWrite::Member { user: user(&format!("U{m}")), row: MemberRow::default() };
            log.view(&store, (0..20).map(member).collect()).await;
            events.insert(log.id.clone(), store.log(&log.id, 0, 100).await.expect("a page").events);
            messages.insert(log.id.clone(), store.messages(&log.id, everything(100)).await.expect("a page"));
            logs.push(log.id);
        }
        if closed {
            store.close().await;
        }
        Kept { bytes: disk.bytes(), logs, events, messages, members }
    })
}

fn find(bytes: &[u8], needle: &str) -> usize {
    let at = bytes.windows(needle.len()).rposition(|window| window == needle.as_bytes());
    at.expect("the text is in the file")
}

#[test]
fn a_damaged_row_is_refused_by_name_and_the_others_are_read() {
    let machine = Inline::new();
    let disk = SimDisk::new();
    let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("an empty disk");
    let mut log = Log::new("C1");
    let first = log.next_us();
    machine.run(async {
        log.post(&store, &["alpha", "needle in the log and in the view", "omega"]).await;
        store.close().await;
    });
    while let Some(at) = disk.bytes().windows(6).position(|window| window == b"needle") {
        disk.flip(at);
    }
    let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("the tree is whole");
    machine.run(async {
        let damaged = store.log(&log.id, 0, 10).await.expect_err("row 2 is damaged");
        let StoreError::Damaged(what) = &damaged else { panic!("{damaged:?}") };
        assert!(what.starts_with("log row T1") && what.contains("C1") && what.contains("checksum"), "{what}");
        let others = [store.log(&log.id, 0, 1).await, store.log(&log.id, 2, 1).await];
        let others = others.map(|page| text(&page.expect("a whole row").events[0]));
        assert_eq!(others, ["alpha", "omega"]);
        let view = store.messages(&log.id, everything(10)).await.expect_err("the view is damaged, too");
        assert!(matches!(&view, StoreError::Damaged(what) if what.starts_with("message row")), "{view:?}");
        let whole = MessageRange { from_us: first + 2 * STEP_US, ..everything(10) };
        assert_eq!(texts(&store.messages(&log.id, whole).await.expect("a page")), ["omega"]);
        log.post(&store, &["the log goes on"]).await;
        log.view(&store, vec![ViewWrite::Redact { rows: vec![(0, 1)] }]).await;
        let mut other = Log::new("C2");
        let spoiled = store.append(log.with(vec![ViewWrite::Redact { rows: vec![(0, 2)] }]));
        let fine = store.append(other.posts(&["not spoiled"]));
        assert!(matches!(spoiled.await, Err(StoreError::Damaged(_))));
        assert!(fine.await.is_ok(), "who waits in the same commit is not touched by another's damage");
        assert_eq!(store.head(&log.id).await.expect("a head").map(|(_, head)| head.tail), Some(5));
    });
}

#[test]
fn a_row_that_turns_up_under_another_key_is_refused() {
    let kept = kept(true);
    let mut bytes = kept.bytes;
    let key = b"C3\0U17\0";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(key)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at + 5] = b'0');
    let machine = Inline::new();
    let store =
        RedbStore::open(machine.host(), SimDisk::holding(bytes), config()).expect("the tree is whole");
    machine.run(async {
        let log = &kept.logs[3];
        let why = store.members(log, None, 100).await.expect_err("U17 became U10");
        assert!(matches!(&why, StoreError::Damaged(what) if what.starts_with("member row")), "{why:?}");
        assert_eq!(store.members(&kept.logs[4], None, 100).await.expect("another log").rows.len(), 20);
    });
}

/// What reading all of a damaged store showed.
#[derive(Debug, Default)]
struct Seen {
    unharmed: u32,
    refused_open: u32,
    refused_reads: u32,
    silent: u32,
}

#[test]
fn of_a_file_with_any_byte_damaged_no_wrong_row_is_ever_read() {
    let seen = flip_everywhere(&config());
    println!("{seen:?}");
    assert!(seen.refused_open > 0 && seen.refused_reads > 0 && seen.unharmed > 0, "{seen:?}");
    // A damaged key may hide rows of a view: rows of a log are counted, those of views are not. As it is shipped,
    // without debug assertions, the engine notices less of it than with them.
    assert!(u64::from(seen.silent) <= FLIPS / 20, "{seen:?}");
}

#[test]
fn a_file_that_is_verified_when_it_is_opened_is_refused_or_whole() {
    let seen = flip_everywhere(&StorageConfig { verify_on_open: true, ..config() });
    println!("{seen:?}");
    assert!(seen.refused_open > 0 && seen.unharmed > 0, "{seen:?}");
    assert_eq!((seen.refused_reads, seen.silent), (0, 0), "{seen:?}");
}

/// Damages one byte after the other, each in a file of its own.
fn flip_everywhere(config: &StorageConfig) -> Seen {
    let kept = kept(true);
    let entropy = Entropy::from_u64(11);
    let mut seen = Seen::default();
    for _ in 0..FLIPS {
        let at = loop {
            let at = entropy.below(kept.bytes.len() as u64) as usize;
            if kept.bytes[at] != 0 {
                break at;
            }
        };
        let mut bytes = kept.bytes.clone();
        bytes[at] ^= 1 << entropy.below(8);
        read_all(&kept, bytes, config.clone(), &mut seen);
    }
    seen
}

fn read_all(kept: &Kept, bytes: Vec<u8>, config: StorageConfig, seen: &mut Seen) {
    let machine = Inline::new();
    let disk = SimDisk::holding(bytes.clone());
    let store = match RedbStore::open(machine.host(), disk.clone(), config) {
        Ok(store) => store,
        Err(why) => {
            assert!(matches!(why, OpenError::Damaged(_) | OpenError::Format { .. }), "{why}");
            assert!(disk.bytes() == bytes, "a refused file is not touched: {why}");
            seen.refused_open += 1;
            return;
        }
    };
    let (mut refused, mut missing) = (false, false);
    machine.run(async {
        for log in &kept.logs {
            match store.log(log, 0, 100).await {
                Ok(page) => assert_eq!(page.events, kept.events[log]),
                Err(why) => refused |= named(&why),
            }
            match store.messages(log, everything(100)).await {
                Ok(rows) => {
                    assert!(rows.iter().all(|row| kept.messages[log].contains(row)), "a wrong message");
                    missing |= rows.len() < kept.messages[log].len();
                }
                Err(why) => refused |= named(&why),
            }
            match store.members(log, None, 100).await {
                Ok(page) => {
                    let known = |(user, row): &(UserId, MemberRow)| {
                        kept.members.contains(user) && *row == MemberRow::default()
                    };
                    assert!(page.rows.iter().all(known), "a wrong member: {:?}", page.rows);
                    missing |= page.rows.len() < kept.members.len();
                }
                Err(why) => refused |= named(&why),
            }
        }
    });
    match (refused, missing) {
        (true, _) => seen.refused_reads += 1,
        (false, true) => seen.silent += 1,
        (false, false) => seen.unharmed += 1,
    }
}

#[test]
fn with_any_byte_of_the_header_damaged_nothing_that_was_kept_is_forgotten() {
    for kept in [kept(true), kept(false)] {
        let mut seen = Seen::default();
        for at in 0..HEADER_BYTES {
            let mut bytes = kept.bytes.clone();
            bytes[at] ^= 0x55;
            read_all(&kept, bytes, config(), &mut seen);
        }
        println!("{seen:?}");
        assert_eq!(seen.silent, 0, "{seen:?}");
    }
}

fn named(why: &StoreError) -> bool {
    assert!(matches!(why, StoreError::Damaged(_) | StoreError::Unavailable(_)), "{why:?}");
    true
}

fn opened(disk: &SimDisk) -> Result<(), OpenError> {
    RedbStore::open(Inline::new().host(), disk.clone(), config()).map(|_| ())
}

#[test]
fn what_is_no_store_or_only_a_part_of_one_is_refused_and_left_alone() {
    let kept = kept(true);
    let half = kept.bytes[..kept.bytes.len() / 2].to_vec();
    let mut no_magic = kept.bytes.clone();
    no_magic[..4096].fill(0);
    let text = b"# Waggle\n\nnot a store".repeat(400);
    for bytes in [half, no_magic, text, vec![7; 100]] {
        let disk = SimDisk::holding(bytes.clone());
        let why = opened(&disk).expect_err("not a store");
        assert!(matches!(why, OpenError::Damaged(_)), "{why}");
        assert!(disk.bytes() == bytes, "left as it was");
    }
}

#[test]
fn a_file_of_another_format_is_refused_with_both_numbers() {
    let disk = SimDisk::new();
    {
        let database = redb::Database::builder().create_with_backend(disk.clone()).expect("an empty disk");
        let format: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("format");
        let transaction = database.begin_write().expect("a transaction");
        let newer = 77u32.to_be_bytes();
        let mut table = transaction.open_table(format).expect("a table");
        table.insert(b"format".as_slice(), newer.as_slice()).expect("a row");
        drop(table);
        transaction.commit().expect("a commit");
    }
    let before = disk.bytes();
    let why = opened(&disk).expect_err("a newer format");
    assert!(matches!(why, OpenError::Format { found: 77 }), "{why}");
    assert!(why.to_string().contains("format 77") && why.to_string().contains("format 2"), "{why}");
    let tables = |bytes: &[u8]| find(bytes, "format");
    assert_eq!(tables(&disk.bytes()), tables(&before));
}

#[test]
fn a_damaged_file_is_named_in_the_error() {
    with_machine(|_, host| {
        let folder = Folder::new();
        std::fs::write(folder.file(), b"not a store").expect("a file");
        let why = RedbStore::open_file(host, &folder.file(), config()).map(|_| ()).expect_err("not a store");
        assert!(why.to_string().contains("store.redb") && why.to_string().contains("damaged"), "{why}");
        assert_eq!(std::fs::read(folder.file()).expect("the file"), b"not a store");
    });
}
