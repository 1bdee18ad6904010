//! Group commit: everything that waits goes into one transaction, and while it is made durable the next gathers.
//!
//! Owns the queue. Promises: jobs are applied in the order in which they were submitted; each is answered by its
//! own outcome; a job that meets a damaged row is refused alone. May lose: nothing that was answered.

use super::StorageConfig;
use super::engine::{Engine, NotDone, Trouble};
use super::reads;
use super::retain::Retained;
use super::slots;
use super::tables::Tables;
use actors::store::{Append, Appended, LogId, StoreError};
use cluster::claims::{Claim, ClaimOutcome};
use cluster::host::{FaultPoint, Host};
use prost::Message;
use proto::ts::Micros;
use redb::ReadTransaction;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// After the disk was full, writes are refused without a try for this long.
const FULL_RETRY: Duration = Duration::from_millis(250);
/// Rows that a step of retention counts for in a commit.
const RETAIN_WEIGHT: usize = 512;

/// What the writer can be asked to do.
#[derive(Debug)]
pub enum Work {
    /// See [`actors::store::Store::append`].
    Append(Box<Append>),
    /// See [`cluster::claims::Claims::claim`].
    Claim(Vec<Claim>),
    /// One step of retention of a log.
    RetainLog(LogId, Micros, usize),
    /// One step of retention of its views.
    RetainViews(LogId, Micros),
    /// Close the database when everything before this is done.
    Close,
}

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// An append.
    Appended(Appended),
    /// Claims.
    Claimed(Vec<ClaimOutcome>),
    /// A step of retention, or closing.
    Retained(Retained),
}

struct Job {
    work: Work,
    /// Its share of the queue's bytes, given back when it leaves the queue; closing takes none.
    room: Option<OwnedSemaphorePermit>,
    answer: oneshot::Sender<Result<Done, StoreError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// What the writer has done since it was opened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Transactions that were committed.
    pub commits: AtomicU64,
    /// Appends that were applied.
    pub appends: AtomicU64,
}

/// The way to the writer. Cheap to clone.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    counts: Arc<Counts>,
}

impl Work {
    fn rows(&self) -> usize {
        match self {
            Self::Append(append) => append.events.len(),
            Self::Claim(claims) => claims.len(),
            Self::RetainLog(..) | Self::RetainViews(..) => RETAIN_WEIGHT,
            Self::Close => 0,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            // Each event comes back as a view row: twice its size.
            Self::Append(append) => append.events.iter().map(|event| 2 * event.encoded_len()).sum(),
            _ => 0,
        }
    }

    fn run(&self, tables: &mut Tables) -> Result<(Done, bool), Trouble> {
        Ok(match self {
            Self::Append(append) => {
                let outcome = tables.append(append)?;
                let applied = outcome == Appended::Applied;
                (Done::Appended(outcome), applied)
            }
            Self::Claim(claims) => {
                let outcomes = tables.claim(claims)?;
                let applied = outcomes.contains(&ClaimOutcome::Applied);
                (Done::Claimed(outcomes), applied)
            }
            Self::RetainLog(log, before_us, keep) => {
                let retained = tables.retain_log(log, *before_us, *keep)?;
                (Done::Retained(retained), retained.touched)
            }
            Self::RetainViews(log, before_us) => {
                let retained = tables.retain_views(log, *before_us)?;
                (Done::Retained(retained), retained.touched)
            }
            Self::Close => (Done::Retained(Retained::default()), false),
        })
    }

    /// Whether the transaction in which this was the last of its log or slot was applied; `None` when this leaves
    /// no mark of its own.
    fn landed(&self, done: &Done, snapshot: &ReadTransaction) -> Result<Option<bool>, Trouble> {
        match (self, done) {
            (Self::Append(append), Done::Appended(Appended::Applied)) => {
                let head = reads::head(snapshot, &append.log)?;
                Ok(Some(head.is_some_and(|(_, head)| append.batch.wrote(&head))))
            }
            (Self::Claim(claims), Done::Claimed(outcomes)) => {
                let last = claims.iter().zip(outcomes).rev().find(|(_, out)| **out == ClaimOutcome::Applied);
                let Some((claim, _)) = last else { return Ok(None) };
                Ok(Some(slots::one(snapshot, claim.slot)? == claim.to))
            }
            _ => Ok(None),
        }
    }
}

impl Writer {
    /// Starts the writer's task.
    pub fn start(host: &Host, engine: Arc<Engine>, config: &StorageConfig) -> Self {
        let (queue, jobs) = mpsc::channel(config.queue_jobs_max);
        let room = Arc::new(Semaphore::new(config.queue_bytes_max.min(Semaphore::MAX_PERMITS)));
        let writer = Self { queue, room, counts: Arc::default() };
        let group = Group {
            host: host.clone(),
            engine,
            counts: writer.counts.clone(),
            rows_max: config.commit_rows_max,
            bytes_max: config.commit_bytes_max,
            full: None,
        };
        host.spawn("store.writer", group.run(jobs));
        writer
    }

    /// What has been done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Queues a job, in the order of the calls; the answer comes when it is durable or refused.
    pub fn submit(&self, work: Work) -> impl Future<Output = Result<Done, StoreError>> + Send + use<> {
        let queued = self.enqueue(work);
        async move {
            let answer = queued?;
            answer.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writer stopped".into())))
        }
    }

    fn enqueue(&self, work: Work) -> Result<oneshot::Receiver<Result<Done, StoreError>>, StoreError> {
        // The room is taken before the writer can see the job, which gives it back: counted by hand and afterwards, the
        // sum once fell below zero, and a queue that was nearly empty refused as full.
        let room = u32::try_from(work.bytes())
            .ok()
            .and_then(|bytes| self.room.clone().try_acquire_many_owned(bytes).ok());
        let room = room.ok_or(StoreError::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Job { work, room: Some(room), answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        Ok(answered)
    }

    /// Drains the queue, closes the database, and answers when the file is at rest.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        let queue = self.queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            if queue.send(Job { work: Work::Close, room: None, answer }).await.is_ok() {
                let _ = answered.await; // an error: the writer is gone, and with it the database
            }
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it has been closed".into())
}

/// The writer's task.
struct Group {
    host: Host,
    engine: Arc<Engine>,
    counts: Arc<Counts>,
    rows_max: usize,
    bytes_max: usize,
    /// Until when, and why, writes are refused without a try.
    full: Option<(Duration, StoreError)>,
}

type Answers = Vec<Result<Done, StoreError>>;

impl Group {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let mut batch = self.gather(first, &mut jobs);
            let closing = batch.pop_if(|job| matches!(job.work, Work::Close));
            self.answer(batch).await;
            if let Some(closing) = closing {
                let engine = self.engine.clone();
                self.host.blocking(move || engine.close()).await;
                jobs.close();
                let late = std::iter::from_fn(|| jobs.try_recv().ok());
                for job in late.chain([closing]) {
                    let _ = job.answer.send(Err(closed())); // an error: nobody waits for it
                }
                return;
            }
        }
    }

    /// Takes everything that waits, up to the limits of a commit.
    fn gather(&self, first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
        let (mut rows, mut bytes) = (first.work.rows(), first.bytes());
        let mut batch = vec![first];
        while rows < self.rows_max
            && bytes < self.bytes_max
            && !matches!(batch[batch.len() - 1].work, Work::Close)
            && let Ok(job) = jobs.try_recv()
        {
            rows += job.work.rows();
            bytes += job.bytes();
            batch.push(job);
        }
        batch
    }

    async fn answer(&mut self, batch: Vec<Job>) {
        if batch.is_empty() {
            return;
        }
        let (works, waiting): (Vec<Work>, Vec<_>) =
            batch.into_iter().map(|job| (job.work, job.answer)).unzip();
        let started = self.host.monotonic();
        let refusal = self.full.take_if(|(until, _)| started < *until);
        self.host.fault(FaultPoint::StoreCommit);
        let answers = match &refusal {
            Some((_, full)) => Some(refused(&works, full)),
            None => {
                let (engine, counts) = (self.engine.clone(), self.counts.clone());
                self.host.blocking(move || commit(&engine, &counts, &works)).await
            }
        };
        self.host.fault(FaultPoint::StoreCommitted);
        let now = self.host.monotonic();
        metrics::histogram!("waggle_store_commit_seconds").record((now - started).as_secs_f64());
        let answers = answers.unwrap_or_default(); // stopped in between: the waiting learn it is unknown
        let full = answers.iter().find_map(|answer| match answer {
            Err(full @ StoreError::Full(_)) => Some((now + FULL_RETRY, full.clone())),
            _ => None,
        });
        self.full = refusal.or(full);
        for (answer, waiting) in answers.into_iter().zip(waiting) {
            let _ = waiting.send(answer); // the caller may have gone: its write is done all the same
        }
    }
}

fn refused(works: &[Work], why: &StoreError) -> Answers {
    works.iter().map(|_| Err(why.clone())).collect()
}

/// One commit for all; when one of them spoils it, one each.
fn commit(engine: &Engine, counts: &Counts, works: &[Work]) -> Answers {
    match transact(engine, counts, works) {
        Ok(done) => done.into_iter().map(Ok).collect(),
        Err(NotDone::NotApplied(StoreError::Damaged(_))) if works.len() > 1 => {
            works.chunks(1).flat_map(|one| commit(engine, counts, one)).collect()
        }
        Err(NotDone::NotApplied(why)) => refused(works, &why),
        Err(NotDone::Unknown(why)) => refused(works, &StoreError::Unknown(why)),
    }
}

fn transact(engine: &Engine, counts: &Counts, works: &[Work]) -> Result<Vec<Done>, NotDone> {
    let mut wrote = false;
    let apply = |tables: &mut Tables| {
        let mut done = Vec::with_capacity(works.len());
        for work in works {
            let (outcome, touched) = work.run(tables)?;
            wrote |= touched;
            done.push(outcome);
        }
        Ok((done, wrote))
    };
    let landed = |snapshot: &ReadTransaction, done: &Vec<Done>| {
        for (work, done) in works.iter().zip(done).rev() {
            if let Some(landed) = work.landed(done, snapshot)? {
                return Ok(Some(landed));
            }
        }
        Ok(None)
    };
    let done = engine.transact(apply, landed)?;
    let applied = done.iter().filter(|done| matches!(done, Done::Appended(Appended::Applied))).count() as u64;
    counts.commits.fetch_add(wrote.into(), Relaxed);
    counts.appends.fetch_add(applied, Relaxed);
    metrics::counter!("waggle_store_commits_total").increment(wrote.into());
    metrics::counter!("waggle_store_appends_total").increment(applied);
    Ok(done)
}
