//! `kill -9` of the real process, again and again, under load and while it starts, and pauses of it: nothing that was
//! acknowledged is lost, doubled or moved, and the views equal the fold of the log.
//!
//! The suite runs the short form; `WAGGLE_KILLS=100` the long one, `WAGGLE_KILL_SEED` another run of chance.

mod book;
mod first;
mod fold;
mod judge;
mod load;
mod nodes;
mod pause;
mod square;

use crate::native::stage::{self, Stage};
use anyhow::{Result, ensure};
use book::Book;
use cluster::host::Entropy;
use load::Crowd;
use std::sync::Arc;
use std::time::Duration;
use tests::harness::{Node, Scratch, Serve, Starting, port, step};

/// Kills under load of the short form.
const KILLS_DEFAULT: usize = 8;
/// From so many kills on it is the long form.
const KILLS_LONG: usize = 100;
/// Acks between two kills under load, at least.
const ACKS_BETWEEN_MIN: u64 = 1000;
/// A kill comes at most this long after these acks, in microseconds: it may fall anywhere in a commit.
const AFTER_ACKS_MAX_US: u64 = 30_000;
/// Starts that are killed are tried this often each until one was killed before it was ready.
const EARLY_TRIES_MAX: usize = 6;

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Kills under load.
    kills: usize,
    /// Kills during start-up, beside them.
    early: usize,
    /// Acks between two kills under load.
    acks_between: u64,
    seed: u64,
}

impl Plan {
    fn read() -> Self {
        let kills = number("WAGGLE_KILLS").map_or(KILLS_DEFAULT, |n: u64| n as usize);
        let factor = if kills >= KILLS_LONG { 2 } else { 1 };
        let seed = number("WAGGLE_KILL_SEED").unwrap_or(1);
        Self { kills, early: kills / 2, acks_between: factor * ACKS_BETWEEN_MIN, seed }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test is told its size from outside")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    kills: usize,
    /// Of them, those at which a post was on its way.
    in_flight: usize,
    early: usize,
    least_acks_between: u64,
}

/// The process that is killed: always on the same data and the same port.
struct Victim {
    serve: Serve,
    chance: Entropy,
    /// How long a start takes, in microseconds; within it fall the kills of starts.
    start_us: u64,
}

impl Victim {
    /// Starts the process for good, after `early` starts that were killed before they were ready.
    async fn back(&mut self, data: Arc<Scratch>, early: usize) -> Result<Node> {
        self.serve.data = Some(data);
        let mut killed = 0;
        for _ in 0..early * EARLY_TRIES_MAX {
            if killed == early {
                break;
            }
            let mut starting = Starting::spawn(self.serve.clone())?;
            let moment = Duration::from_micros(self.chance.below(self.start_us));
            let early_enough = within(moment, starting.announced()).await.is_none();
            killed += usize::from(early_enough);
            if !early_enough {
                // Starts are quicker now than the one that was measured: aim earlier.
                self.start_us = (self.start_us / 2).max(1000);
            }
            starting.kill().await?;
        }
        ensure!(killed == early, "{killed} of {early} starts were killed before they were ready");
        Node::serve(self.serve.clone()).await
    }
}

/// What `work` comes to if it does so within this time.
#[allow(clippy::disallowed_methods, reason = "a real process is killed at a moment of real time")]
async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, work).await.ok()
}

/// Waits for so many acks, and for a moment by chance after them; answers whether a post is on its way then.
async fn at_work(crowd: &Crowd, book: &Book, acks: u64, chance: &Entropy) -> Result<bool> {
    step("acks before the next blow", book.reach(book.acks() + acks)).await??;
    let _ =
        within(Duration::from_micros(chance.below(AFTER_ACKS_MAX_US)), std::future::pending::<()>()).await;
    Ok(crowd.in_flight() > 0)
}

/// Kills the node under load as planned; it runs when this returns.
async fn kill_under_load(
    plan: Plan,
    victim: &mut Victim,
    mut node: Node,
    crowd: &Crowd,
    book: &Book,
) -> Result<(Node, Done)> {
    let mut done = Done { least_acks_between: u64::MAX, ..Done::default() };
    for round in 0..plan.kills {
        let before = book.acks();
        done.in_flight += usize::from(at_work(crowd, book, plan.acks_between, &victim.chance).await?);
        let data = node.kill().await?;
        done.kills += 1;
        done.least_acks_between = done.least_acks_between.min(book.acks() - before);
        let early = (round + 1) * plan.early / plan.kills - round * plan.early / plan.kills;
        node = victim.back(data, early).await?;
        done.early += early;
    }
    let before = book.acks();
    step("acks after the last kill", book.reach(before + plan.acks_between)).await??;
    Ok((node, done))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_at_any_moment_loses_doubles_and_moves_nothing() -> Result<()> {
    let plan = Plan::read();
    println!("{plan:?}");
    let serve = Serve { port: port::lasting()?, ..stage::plain(&[]) };
    let chance = Entropy::from_u64(plan.seed);
    let stage = Stage::open(serve.clone()).await?;
    let book = Arc::new(Book::default());
    let crowd = Crowd::gather(&stage, book.clone(), &chance).await?;
    let Stage { node, .. } = stage;
    let mut victim = Victim { serve, chance: chance.fork("kills"), start_us: 0 };
    let data = node.kill().await?;
    let (node, start_us) = started(&victim.serve, data).await?;
    victim.start_us = start_us;
    let (node, done) = kill_under_load(plan, &mut victim, node, &crowd, &book).await?;
    let verdict = judge::judge(&node, crowd, &book).await?;
    println!("{done:?}\n{verdict:?}");
    assert_eq!((done.kills, done.early), (plan.kills, plan.early));
    assert!(done.least_acks_between >= plan.acks_between);
    assert!(verdict.acks >= plan.kills as u64 * plan.acks_between);
    assert!(done.in_flight * 10 >= done.kills * 3, "too few kills met a post on its way: {done:?}");
    Ok(())
}

/// Starts the process; how long that took, in microseconds.
#[allow(clippy::disallowed_methods, reason = "kills of starts have to fall into the time that a start takes")]
async fn started(serve: &Serve, data: Arc<Scratch>) -> Result<(Node, u64)> {
    let begun = std::time::Instant::now();
    let node = Node::serve(Serve { data: Some(data), ..serve.clone() }).await?;
    Ok((node, u64::try_from(begun.elapsed().as_micros())?))
}
