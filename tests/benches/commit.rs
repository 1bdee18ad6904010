//! P11: what a durable append costs when 64 senders share commits, beside a bare write and `fdatasync` of that disk.
//!
//! `tests/benches/run P11`, or `cargo bench -p cells --bench commit -- REPEATS`. Prints a line of JSON a repeat.

use actors::store::{Append, Appended, BatchId, LogId, Store};
use cells::machine::{Machine, Threads};
use cells::storage::{RedbStore, StorageConfig};
use cluster::host::Host;
use cluster::slots::slot_of;
use proto::id::{ChannelId, WorkspaceId};
use proto::v1::{Content, Event, Posted, event::Body};
use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// Senders, each with a log of its own and one append under way.
const SENDERS: usize = 64;
/// Appends of one sender in a repeat.
const APPENDS: usize = 400;
/// Bare syncs before each repeat.
const SYNCS: usize = 400;
/// Bytes of one bare write: a page.
const PAGE: usize = 4096;
/// Characters of a message.
const TEXT: usize = 128;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let repeats = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/benches/commit");
    fs::create_dir_all(&folder)?;
    let machine = Machine::start(Threads::default())?;
    let host = machine.host();
    let ran = machine.block_on(async {
        for repeat in 0..repeats {
            let bare = bare_syncs(&host, &folder)?;
            let file = folder.join("store.redb");
            drop(fs::remove_file(&file));
            let store = RedbStore::open_file(host.clone(), &file, StorageConfig::default())?;
            let shared = appends(&host, &store).await?;
            print(repeat, &bare, &shared, &store);
            store.close().await;
        }
        Ok(())
    });
    drop(fs::remove_dir_all(&folder));
    ran
}

/// Times of a page written and synced, sorted.
fn bare_syncs(host: &Host, folder: &Path) -> Result<Vec<Duration>, Failure> {
    let path = folder.join("bare");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; PAGE * SYNCS], 0)?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNCS);
    for page in 0..SYNCS {
        let began = host.monotonic();
        file.write_all_at(&[1; PAGE], (PAGE * page) as u64)?;
        file.sync_data()?;
        times.push(host.monotonic() - began);
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times)
}

/// What a repeat of all senders took: the whole, and each append, sorted.
struct Run {
    whole: Duration,
    times: Vec<Duration>,
}

async fn appends(host: &Host, store: &RedbStore) -> Result<Run, Failure> {
    let (report, mut reports) = mpsc::channel(SENDERS);
    let began = host.monotonic();
    for number in 0..SENDERS {
        let (clock, store, report) = (host.clone(), store.clone(), report.clone());
        host.spawn("sender", async move {
            let sent = send(&clock, &store, number).await;
            drop(report.send(sent).await); // the receiver waits for all of them
        });
    }
    drop(report);
    let mut times = Vec::with_capacity(SENDERS * APPENDS);
    while let Some(sent) = reports.recv().await {
        times.extend(sent?);
    }
    let whole = host.monotonic() - began;
    times.sort();
    Ok(Run { whole, times })
}

async fn send(host: &Host, store: &RedbStore, number: usize) -> Result<Vec<Duration>, Failure> {
    let log = LogId::new(WorkspaceId::parse("T1")?, ChannelId::parse(&format!("C{number:010}"))?);
    let mut times = Vec::with_capacity(APPENDS);
    for tail in 0..APPENDS as u64 {
        let append = append(&log, tail, host.now_us());
        let began = host.monotonic();
        match store.append(append).await? {
            Appended::Applied => times.push(host.monotonic() - began),
            other => return Err(format!("append {tail} of {log:?} was not applied: {other:?}").into()),
        }
    }
    Ok(times)
}

fn append(log: &LogId, tail: u64, us: u64) -> Append {
    let channel = log.channel.to_string();
    let mut batch = [0; 16];
    batch[..8].copy_from_slice(&(tail + 1).to_le_bytes());
    batch[8..].copy_from_slice(&channel.as_bytes()[channel.len() - 8..]);
    let content = Some(Content { text: "x".repeat(TEXT), ..Content::default() });
    let event = Event {
        seq: tail + 1,
        us,
        epoch: 1,
        sender: "U1".into(),
        key: format!("01990a1b-2c3d-7e4f-8a5b-{tail:012x}"),
        countable: tail + 1,
        fingerprint: tail,
        body: Some(Body::Posted(Posted { content, ..Posted::default() })),
        ..Event::default()
    };
    Append {
        log: log.clone(),
        slot: slot_of(log.workspace.as_str().as_bytes(), channel.as_bytes(), 1, None),
        bucket: 0,
        tail,
        epoch: 1,
        batch: BatchId(batch),
        followed: 0,
        events: vec![event],
        views: Vec::new(),
    }
}

fn print(repeat: usize, bare: &[Duration], run: &Run, store: &RedbStore) {
    let ms = |times: &[Duration], percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e3;
    let (commits, appends) = (store.counts().commits.load(Relaxed), store.counts().appends.load(Relaxed));
    let (sync, p99) = (ms(bare, 50), ms(&run.times, 99));
    println!(
        "{{\"repeat\":{repeat},\"sync_p50_ms\":{sync:.3},\"sync_p99_ms\":{:.3},\"ack_p50_ms\":{:.3},\
         \"ack_p99_ms\":{p99:.3},\"ack_p99_in_syncs\":{:.2},\"appends_per_s\":{:.0},\"appends\":{appends},\
         \"commits\":{commits},\"appends_a_commit\":{:.1}}}",
        ms(bare, 99),
        ms(&run.times, 50),
        p99 / sync,
        appends as f64 / run.whole.as_secs_f64(),
        appends as f64 / commits as f64,
    );
}
