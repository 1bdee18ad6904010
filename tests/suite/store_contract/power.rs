//! The power is cut: nothing that was acknowledged is lost, and the file always opens.
//!
//! One run over 200 and more channels is recorded with the position in the disk's history at which each answer
//! came. Then the power is cut at hundreds of points of that history, in every way in which unsynced writes can
//! survive, and the store is opened on what is left.

use super::config;
use super::draft::{Log, everything, row, text, user};
use crate::inline::Inline;
use actors::store::{Append, Appended, INLINE_BODY_MAX, LogId, READ_ROWS_MAX, Store, ViewWrite};
use cells::storage::RedbStore;
use cluster::claims::{Claim, Claims};
use cluster::host::Entropy;
use futures::future::join_all;
use proto::v1::{Event, SlotRow};
use redb::StorageBackend;
use simulations::world::disk::{History, SimDisk, TEARS};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const CHANNELS: usize = 220;
/// Channels that post at the same time.
const WAVE: usize = 22;
/// Appends of each channel, one after the other.
const ROUNDS: usize = 6;
/// Points of the history at which the power is cut, each with every kind of tear.
const CUTS: usize = 520;
/// Of these, how many lie close to a sync, where it matters.
const CUTS_AT_SYNCS: usize = 220;

/// What was sent and what was answered, with positions in the disk's history.
#[derive(Default)]
struct Record {
    /// Every event that was ever sent, by its place, with the position when it was.
    sent: BTreeMap<(LogId, u64), (usize, Event)>,
    /// (position when the answer came, log, tail that it acknowledged).
    acks: Vec<(usize, LogId, u64)>,
    /// (position, epoch) of the claims of slot 1.
    claims: Vec<(usize, u64)>,
    /// Positions at which a large body's redaction was acknowledged: (position, log, seq).
    redacted: Vec<(usize, LogId, u64)>,
}

impl Record {
    fn send(&mut self, position: usize, append: &Append) {
        for event in &append.events {
            self.sent.insert((append.log.clone(), event.seq), (position, event.clone()));
        }
    }
    fn sent(&self, log: &LogId, seq: u64) -> Option<&Event> {
        self.sent.get(&(log.clone(), seq)).map(|(_, event)| event)
    }
}

/// Runs the load on a store over this backend, while `position` tells where the history stands.
fn load(backend: impl StorageBackend, position: impl Fn() -> usize) -> Record {
    let machine = Inline::new();
    let store = RedbStore::open(machine.host(), backend, config()).expect("an empty disk");
    let record = RefCell::new(Record::default());
    let channel = async |n: usize| {
        let mut log = Log::new(&format!("C{n:03}"));
        for round in 0..ROUNDS {
            if round == 3 {
                log.roll();
            }
            let append = draft(&mut log, n, round);
            record.borrow_mut().send(position(), &append);
            log.take(&append);
            assert_eq!(store.append(append).await, Ok(Appended::Applied));
            record.borrow_mut().acks.push((position(), log.id.clone(), log.tail));
        }
        if n.is_multiple_of(20) {
            let append = log.with(vec![ViewWrite::Redact { rows: vec![(0, 1)] }]);
            record.borrow_mut().send(position(), &append);
            log.apply(&store, append).await;
            record.borrow_mut().redacted.push((position(), log.id.clone(), 1));
            record.borrow_mut().acks.push((position(), log.id.clone(), log.tail));
        }
    };
    let claims = async {
        for epoch in 1..=8 {
            let to = SlotRow { epoch, node: "n1".into(), ..SlotRow::default() };
            let claim = Claim { slot: super::draft::slot(1), from_epoch: epoch - 1, to };
            store.claim(vec![claim]).await.expect("the disk is whole");
            record.borrow_mut().claims.push((position(), epoch));
        }
    };
    machine.run(async {
        let posts = async {
            for wave in (0..CHANNELS).collect::<Vec<_>>().chunks(WAVE) {
                join_all(wave.iter().map(|n| channel(*n))).await;
            }
        };
        futures::join!(posts, claims);
        store.close().await;
    });
    record.into_inner()
}

/// One to three posts; now and then a large one, a reply, a reaction.
fn draft(log: &mut Log, n: usize, round: usize) -> Append {
    let large = "x".repeat(INLINE_BODY_MAX + 100);
    let texts: Vec<String> = (0..1 + (n + round) % 3).map(|k| format!("{n} {round} {k}")).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    if n.is_multiple_of(20) && round == 0 {
        texts[0] = &large;
    }
    let mut append = log.shown(&texts);
    let us = append.events[0].us;
    let reaction = ViewWrite::Reaction { bucket: 0, us, name: "tada".into(), user: user("U1"), seq: 1 };
    append.views.push(reaction);
    append
}

/// What the cuts showed.
#[derive(Debug, Default)]
struct Shown {
    cuts: usize,
    /// Events that were sent and not acknowledged when the power was cut, and are gone.
    lost: usize,
    /// Such events that were found.
    survived: usize,
}

fn points(history: &History, entropy: &Entropy) -> Vec<usize> {
    let changes = history.changes() as u64;
    let syncs = history.syncs();
    let near =
        (0..CUTS_AT_SYNCS).map(|n| syncs[n * syncs.len() / CUTS_AT_SYNCS] + entropy.below(3) as usize - 1);
    let anywhere = (CUTS_AT_SYNCS..CUTS).map(|_| entropy.below(changes + 1) as usize);
    let mut points: Vec<usize> = near.chain(anywhere).collect();
    points.sort_unstable();
    points
}

/// Cuts the power everywhere and checks what is left. The first violation is the error.
fn cut_everywhere(mut history: History, record: &Record) -> Result<Shown, String> {
    let entropy = Entropy::from_u64(3);
    let mut shown = Shown::default();
    for at in points(&history, &entropy) {
        for tear in TEARS {
            let bytes = history.cut(at, tear, &entropy);
            let found = check(bytes, at, record).map_err(|why| format!("cut after {at}, {tear:?}: {why}"))?;
            let sent = record.sent.values().filter(|(position, _)| *position <= at).count();
            shown.cuts += 1;
            shown.lost += sent - found.events;
            shown.survived += found.events - found.acknowledged;
        }
    }
    Ok(shown)
}

/// How many events are left, and how many had been acknowledged.
struct Found {
    events: usize,
    acknowledged: usize,
}

/// Opens the store on what is left and compares it with the record.
fn check(bytes: Vec<u8>, at: usize, record: &Record) -> Result<Found, String> {
    let machine = Inline::new();
    let disk = SimDisk::holding(bytes);
    let store =
        RedbStore::open(machine.host(), disk, config()).map_err(|why| format!("it does not open: {why}"))?;
    machine.run(async {
        let mut events = 0;
        let mut acked: BTreeMap<&LogId, u64> = BTreeMap::new();
        for (_, log, tail) in record.acks.iter().filter(|(position, ..)| *position <= at) {
            acked.insert(log, *tail);
        }
        for n in 0..CHANNELS {
            let log = super::draft::log_id("T1", &format!("C{n:03}"));
            events += check_log(&store, &log, acked.get(&log).copied().unwrap_or(0), at, record).await?;
        }
        let slots = store.read(0).await.map_err(|why| why.to_string())?;
        let epoch = slots.first().map_or(0, |(_, row)| row.epoch);
        let claimed =
            record.claims.iter().rfind(|(position, _)| *position <= at).map_or(0, |(_, epoch)| *epoch);
        if epoch < claimed {
            return Err(format!("slot 1 was claimed with epoch {claimed} and has {epoch}"));
        }
        let acknowledged = acked.values().sum::<u64>() as usize;
        Ok(Found { events, acknowledged })
    })
}

async fn check_log(
    store: &RedbStore,
    log: &LogId,
    acked: u64,
    at: usize,
    record: &Record,
) -> Result<usize, String> {
    let page = store.log(log, 0, READ_ROWS_MAX).await.map_err(|why| format!("{log:?}: {why}"))?;
    if page.tail < acked {
        return Err(format!("{log:?}: {acked} was acknowledged, the tail is {}", page.tail));
    }
    let must_be_gone =
        |seq: u64| record.redacted.iter().any(|gone| gone.0 <= at && gone.1 == *log && gone.2 == seq);
    for (event, seq) in page.events.iter().zip(1..) {
        let sent = record.sent(log, seq).ok_or_else(|| format!("{log:?} {seq} was never sent"))?;
        let mut redacted = sent.clone();
        actors::store::redact(&mut redacted);
        if *event != redacted && (event != sent || must_be_gone(seq)) {
            return Err(format!("{log:?} {seq} is {:?}, sent was {:?}", text(event), text(sent)));
        }
    }
    let shown =
        store.messages(log, everything(READ_ROWS_MAX)).await.map_err(|why| format!("{log:?}: {why}"))?;
    let bucket_of = |event: &Event| shown.iter().find(|row| row.seq == event.seq).map_or(0, |row| row.bucket);
    let posts = page.events.iter().filter(|event| text(event) != "views");
    let sent = posts.filter_map(|event| record.sent(log, event.seq));
    let posts: Vec<_> = sent.map(|event| row(event, bucket_of(event))).collect();
    if shown != posts {
        return Err(format!("{log:?}: the view shows {} of {} posts", shown.len(), posts.len()));
    }
    Ok(page.events.len())
}

#[test]
fn a_power_cut_at_any_point_loses_nothing_that_was_acknowledged() {
    let disk = SimDisk::recording();
    let record = load(disk.clone(), || disk.position());
    let history = disk.history();
    assert!(history.syncs().len() > 40, "{} syncs", history.syncs().len());
    let changes = history.changes();
    let shown = cut_everywhere(history, &record).unwrap_or_else(|why| panic!("{why}"));
    println!("{} appends, {changes} changes of the disk, {shown:?}", record.acks.len());
    assert_eq!(shown.cuts, CUTS * TEARS.len());
    assert!(
        shown.lost > shown.cuts && shown.survived > shown.cuts,
        "the cuts hit nothing in flight: {shown:?}"
    );
}

/// The planted bug: a disk whose sync does nothing, after so many that do.
#[derive(Debug)]
struct Lazy {
    disk: SimDisk,
    honest: AtomicU64,
    /// Later, every n-th sync is done all the same.
    every: u64,
}

impl StorageBackend for Lazy {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        let n = self.honest.fetch_add(1, Relaxed);
        if n < HONEST_SYNCS || n.is_multiple_of(self.every) { self.disk.sync_data() } else { Ok(()) }
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

/// Syncs of a store that is created and committed to a few times.
const HONEST_SYNCS: u64 = 12;

/// What the same test says about a store on such a disk.
fn violation(every: u64) -> String {
    let disk = SimDisk::recording();
    let lazy = Lazy { disk: disk.clone(), honest: AtomicU64::new(0), every };
    let record = load(lazy, || disk.position());
    cut_everywhere(disk.history(), &record).expect_err("the power cuts catch it")
}

#[test]
fn a_lazy_sync_is_caught_by_the_power_cuts() {
    let why = violation(u64::MAX);
    println!("{why}");
    assert!(why.contains("was acknowledged, the tail is"), "{why}");
}

#[test]
fn a_sync_that_is_lazy_every_other_time_is_caught_by_the_power_cuts() {
    println!("{}", violation(2));
}
