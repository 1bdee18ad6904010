//! Large contents lie apart, and go with the row that they belong to.

use super::config;
use super::draft::{Log, STEP_US};
use crate::inline::Inline;
use actors::store::{INLINE_BODY_MAX, Store, ViewWrite};
use cells::storage::RedbStore;
use proto::v1::{Content, MessageRow};
use redb::{ReadableDatabase, ReadableTableMetadata};
use simulations::world::disk::SimDisk;

/// Rows of the table `body`, read past the store.
fn bodies(disk: &SimDisk) -> u64 {
    let copy = SimDisk::holding(disk.bytes());
    let database = redb::Database::builder().create_with_backend(copy).expect("a database");
    let table: redb::TableDefinition<&[u8], &[u8]> = redb::TableDefinition::new("body");
    let snapshot = database.begin_read().expect("a snapshot");
    snapshot.open_table(table).expect("the table").len().expect("its length")
}

struct Bench {
    machine: Inline,
    disk: SimDisk,
    store: RedbStore,
    log: Log,
}

impl Bench {
    /// A log of one large and one small post, both shown.
    fn new() -> Self {
        let (machine, disk) = (Inline::new(), SimDisk::new());
        let store = RedbStore::open(machine.host(), disk.clone(), config()).expect("an empty disk");
        let mut log = Log::new("C1");
        machine.run(log.post(&store, &[&large(), "small"]));
        Self { machine, disk, store, log }
    }
    fn view(&mut self, view: ViewWrite) {
        self.machine.run(self.log.view(&self.store, vec![view]));
    }
}

fn large() -> String {
    "x".repeat(INLINE_BODY_MAX + 1)
}

fn message(us: u64, text: &str) -> MessageRow {
    let content = Some(Content { text: text.into(), ..Content::default() });
    MessageRow { us, content, ..MessageRow::default() }
}

#[test]
fn a_redaction_and_a_deletion_each_take_the_body_of_their_row() {
    let mut bench = Bench::new();
    let us = bench.log.last_us - STEP_US;
    assert_eq!(bodies(&bench.disk), 2, "of the log row and of the message");
    bench.view(ViewWrite::Redact { rows: vec![(0, 1), (0, 2)] });
    assert_eq!(bodies(&bench.disk), 1);
    bench.view(ViewWrite::MessageGone { bucket: 0, us });
    assert_eq!(bodies(&bench.disk), 0);
}

#[test]
fn a_message_that_is_edited_keeps_one_body_at_most() {
    let mut bench = Bench::new();
    let us = bench.log.last_us - STEP_US;
    for (text, expected) in [(large() + "longer", 2), ("short".into(), 1), (large(), 2)] {
        bench.view(ViewWrite::Message(message(us, &text)));
        assert_eq!(bodies(&bench.disk), expected);
    }
    let reply = MessageRow { thread_us: us, ..message(bench.log.next_us(), &large()) };
    bench.view(ViewWrite::Reply(reply.clone()));
    assert_eq!(bodies(&bench.disk), 3);
    bench.view(ViewWrite::ReplyGone { parent_us: us, us: reply.us });
    assert_eq!(bodies(&bench.disk), 2);
}

#[test]
fn retention_takes_the_bodies_of_the_rows_that_it_drops() {
    let mut bench = Bench::new();
    bench.log.roll();
    bench.machine.run(bench.log.post(&bench.store, &[&large()]));
    assert_eq!(bodies(&bench.disk), 4);
    let (log, last_us) = (bench.log.id.clone(), bench.log.last_us);
    assert_eq!(bench.machine.run(bench.store.retain_log(&log, last_us, 1)), Ok(1));
    assert_eq!(bodies(&bench.disk), 3);
    assert_eq!(bench.machine.run(bench.store.retain_views(&log, last_us)), Ok(2));
    assert_eq!(bodies(&bench.disk), 2);
}
