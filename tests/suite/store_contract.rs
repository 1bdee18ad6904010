//! What every store promises, as one set of tests that runs on every engine: the one in memory, the same behind the
//! wire, redb on a simulated disk, redb in a file on a real machine.

mod agreement;
mod appends;
mod bodies;
mod claims;
mod damage;
mod draft;
mod faults;
mod groups;
mod logs;
mod power;
mod retention;
mod views;

use crate::inline::Inline;
use actors::store::Store;
use actors::store::memory::MemoryStore;
use actors::store::remote::{Carry, CarryError, RemoteStore};
use actors::store::service::StoreService;
use bytes::Bytes;
use cells::machine::{Machine, Threads};
use cells::storage::{RedbStore, StorageConfig};
use cluster::claims::Claims;
use cluster::host::Host;
use futures::FutureExt;
use futures::future::BoxFuture;
use simulations::world::disk::SimDisk;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An engine under contract.
trait Engine: Store + Claims + Clone {}
impl<T: Store + Claims + Clone> Engine for T {}

/// Small enough that pages come from the disk, too.
fn config() -> StorageConfig {
    StorageConfig { cache_bytes: 4 * 1024 * 1024, ..StorageConfig::default() }
}

fn on_memory(test: impl AsyncFnOnce(MemoryStore)) {
    Inline::new().run(test(MemoryStore::new()));
}

/// A carrier to a service in the same process: everything is encoded, nothing is lost.
struct InProcess(StoreService);

impl Carry for InProcess {
    fn carry(&self, call: Bytes) -> BoxFuture<'static, Result<Bytes, CarryError>> {
        self.0.answer(call, true).map(Ok).boxed()
    }
}

fn on_a_wire(test: impl AsyncFnOnce(RemoteStore)) {
    let memory = Arc::new(MemoryStore::new());
    let service = StoreService::new(memory.clone(), memory);
    Inline::new().run(test(RemoteStore::new(Arc::new(InProcess(service)))));
}

fn on_redb(test: impl AsyncFnOnce(RedbStore)) {
    let machine = Inline::new();
    let store = RedbStore::open(machine.host(), SimDisk::new(), config()).expect("an empty disk");
    machine.run(test(store));
}

fn on_a_file(test: impl AsyncFnOnce(RedbStore)) {
    with_machine(|machine, host| {
        let folder = Folder::new();
        let store = RedbStore::open_file(host, &folder.file(), config()).expect("a new file");
        machine.block_on(async {
            test(store.clone()).await;
            store.close().await;
        });
    });
}

fn with_machine(test: impl FnOnce(&Machine, Host)) {
    let threads = Threads { shards: 1, workers: 2, blocking_max: 4 };
    let machine = Machine::start(threads).expect("threads");
    test(&machine, machine.host());
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder for this test");
        Self(path)
    }
    fn file(&self) -> PathBuf {
        self.0.join("store.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // left-overs are in the target folder
    }
}

macro_rules! contract {
    ($($part:ident: $($test:ident),+ $(,)?;)+) => {
        mod memory { $($(#[test] fn $test() { super::on_memory(super::$part::$test); })+)+ }
        mod wire { $($(#[test] fn $test() { super::on_a_wire(super::$part::$test); })+)+ }
        mod redb { $($(#[test] fn $test() { super::on_redb(super::$part::$test); })+)+ }
        mod file { $($(#[test] fn $test() { super::on_a_file(super::$part::$test); })+)+ }
    };
}

contract! {
    appends:
        a_log_starts_at_seq_one_in_bucket_zero,
        an_append_continues_only_the_tail_it_names,
        a_lower_epoch_is_refused_and_a_higher_one_taken,
        time_rises_along_a_log,
        a_batch_that_is_already_in_is_not_applied_twice,
        a_bucket_opens_on_the_tail_of_the_one_before_and_on_nothing_else,
        a_closed_bucket_takes_nothing_more,
        a_refused_append_leaves_no_trace,
        of_racing_appends_on_one_tail_exactly_one_is_applied,
        appends_that_wait_together_see_each_other_in_order,
        the_head_keeps_counts_and_the_follow_up_cursor;
    logs:
        a_log_is_read_in_ranges_with_limits,
        one_read_never_returns_more_than_the_limit_of_rows,
        a_page_ends_after_a_mebibyte_but_never_empty,
        the_directory_names_buckets_with_their_times,
        keys_of_a_bucket_are_listed_in_order,
        active_channels_are_found_by_slot_and_minute,
        the_last_active_channels_of_every_slot_are_found_in_one_read,
        what_is_appended_after_the_clock_went_back_is_among_the_last_active,
        old_active_rows_make_room_for_new_ones,
        workspaces_never_mix;
    views:
        a_page_of_messages_runs_across_buckets_in_both_directions,
        a_message_is_replaced_and_taken_away,
        replies_are_paged_by_parent_and_found_by_their_own_time,
        reactions_are_counted_in_full_and_listed_up_to_the_limit,
        all_reactions_of_one_message_go_together,
        members_are_listed_by_id_in_pages,
        conversations_of_a_user_are_listed_with_those_left,
        marks_go_forward_and_back,
        users_conversations_and_workspaces_are_kept_by_the_workspace,
        a_token_is_found_by_its_hash_alone,
        large_contents_come_back_whole_wherever_they_are_read,
        a_redaction_takes_the_content_and_leaves_the_rest,
        a_row_can_be_redacted_by_the_append_that_brings_it;
    retention:
        closed_buckets_are_dropped_by_age_and_heads_stay,
        the_newest_buckets_are_kept_whatever_their_age,
        a_dropped_bucket_is_listed_as_such_and_redaction_skips_it,
        views_are_dropped_by_age;
    claims:
        a_slot_is_claimed_once_and_then_by_its_epoch,
        each_claim_of_a_batch_stands_alone,
        a_partition_lists_its_slots_only;
}
