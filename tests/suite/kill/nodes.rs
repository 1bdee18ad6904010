//! A cluster of real processes under load, and everything that may happen to its nodes: they are killed (`kill -9`),
//! stopped in order and frozen (`SIGSTOP`), one after the other; then the one that keeps the store is killed, then all
//! at once. Each is started again by its configuration. Nothing acknowledged is lost, doubled or moved, no client is
//! shown an error, and everybody who listens in a crowded channel is shown everything in order.
//!
//! The suite runs the short form. `WAGGLE_KILLS=200 WAGGLE_SOCKETS=5000` is the long one, `WAGGLE_KILL_SEED` another
//! run of chance; both print how long the slowest command waited after each blow.

use super::book::Book;
use super::load::{Crowd, LANES, SENDERS};
use super::square::Square;
use super::{at_work, judge, number, within};
use crate::native::stage::{self, Stage};
use anyhow::{Result, ensure};
use cluster::host::Entropy;
use futures::future::try_join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tests::harness::{Node, Program, Serve, Starting, gone, send, step};

/// Nodes beside the store.
const NODES: usize = 6;
const STORE: &str = "store";
/// Kills of the short form.
const KILLS_DEFAULT: usize = 20;
/// Between so many kills comes a stop and a freeze; half as often in the long form, whose freezes are long.
const OTHERS_EVERY: usize = 5;
/// Listeners of the short form.
const SOCKETS_DEFAULT: usize = 120;
/// Acks before and after each blow, at least.
const ACKS_BETWEEN_MIN: u64 = 300;
/// A node is frozen for one second to so many, more in the long form.
const FROZEN_MAX_MS: u64 = 3_000;
const FROZEN_LONG_MAX_MS: u64 = 60_000;
/// Sessions of a node that is stopped leave within a second.
const DRAIN_WINDOW: (&str, &str) = ("WAGGLE_NODE__DRAIN_WINDOW_MS", "1000");

/// What is done to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Kill(usize),
    Stop(usize),
    Freeze(usize),
    KillStore,
    KillAll,
}

impl Blow {
    /// Kills of one node after the other, some stops and freezes between them, and the worst at the end.
    fn all(kills: usize) -> Vec<Self> {
        let every = if kills > KILLS_DEFAULT { 2 * OTHERS_EVERY } else { OTHERS_EVERY };
        let mut blows = Vec::new();
        for number in 0..kills {
            blows.push(Self::Kill(number % NODES));
            if number % every == 0 {
                blows.extend([Self::Stop((number + 1) % NODES), Self::Freeze((number + 2) % NODES)]);
            }
        }
        blows.extend([Self::KillStore, Self::KillAll]);
        blows
    }
    fn kind(&self) -> &'static str {
        match self {
            Self::Kill(_) => "a node was killed",
            Self::Stop(_) => "a node was stopped",
            Self::Freeze(_) => "a node was frozen",
            Self::KillStore => "the store was killed",
            Self::KillAll => "everything was killed",
        }
    }
}

fn name(number: usize) -> String {
    format!("node-{}", number + 1)
}

/// The cluster, and those of its processes that were started again.
struct Cluster<'a> {
    stage: &'a Stage,
    env: Vec<(String, String)>,
    again: BTreeMap<String, Node>,
}

impl Cluster<'_> {
    fn pid_of(&self, name: &str) -> Result<u32> {
        self.again.get(name).map_or_else(|| self.stage.node.pid_of(name), |node| Ok(node.pid))
    }
    /// Ends a process, whoever started it.
    async fn end(&mut self, name: &str, signal: i32) -> Result<()> {
        let Some(node) = self.again.remove(name) else {
            let pid = self.stage.node.pid_of(name)?;
            send(pid, signal)?;
            return gone(&[pid]).await;
        };
        match signal {
            libc::SIGTERM => {
                let code = node.stop().await?;
                ensure!(code == 0, "{name} was stopped and ended with {code}");
                Ok(())
            }
            _ => node.kill().await.map(drop),
        }
    }
    /// Starts these again; they take work when this returns.
    async fn start(&mut self, names: &[String]) -> Result<()> {
        let started = names.iter().map(|name| {
            let program = Program::Again(format!("{name}/waggle.toml"));
            let data = Some(self.stage.node.data.clone());
            Starting::spawn(Serve { program, data, env: self.env.clone(), ..Serve::default() })
        });
        let started: Vec<Starting> = started.collect::<Result<_>>()?;
        let ready = try_join_all(started.into_iter().map(Starting::ready)).await?;
        self.again.extend(names.iter().cloned().zip(ready));
        Ok(())
    }
    /// Does it, and mends it.
    async fn strike(&mut self, blow: &Blow, book: &Book, frozen: Duration) -> Result<()> {
        let served = || book.reach(book.acks() + ACKS_BETWEEN_MIN);
        match blow {
            Blow::Kill(number) | Blow::Stop(number) => {
                let signal = if matches!(blow, Blow::Kill(_)) { libc::SIGKILL } else { libc::SIGTERM };
                self.end(&name(*number), signal).await?;
                step(&format!("acks of the others without {}", name(*number)), served()).await??;
                self.start(&[name(*number)]).await
            }
            Blow::Freeze(number) => {
                let pid = self.pid_of(&name(*number))?;
                send(pid, libc::SIGSTOP)?;
                step(&format!("acks of the others without {}", name(*number)), served()).await??;
                let _ = within(frozen, std::future::pending::<()>()).await;
                send(pid, libc::SIGCONT)
            }
            Blow::KillStore => {
                self.end(STORE, libc::SIGKILL).await?;
                self.start(&[STORE.to_owned()]).await
            }
            Blow::KillAll => {
                let all: Vec<String> = (0..NODES).map(name).chain([STORE.to_owned()]).collect();
                for name in &all {
                    send(self.pid_of(name)?, libc::SIGKILL)?;
                }
                for name in &all {
                    self.end_of(name).await?;
                }
                self.start(&all).await
            }
        }
    }
    /// Waits for the end of a process that was killed.
    async fn end_of(&mut self, name: &str) -> Result<()> {
        match self.again.remove(name) {
            Some(node) => node.kill().await.map(drop),
            None => gone(&[self.stage.node.pid_of(name)?]).await,
        }
    }
}

/// How long the slowest command waited after blows of a kind.
fn print_waits(waits: &BTreeMap<&str, Vec<Duration>>) {
    for (kind, waits) in waits {
        let mut sorted = waits.clone();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        let (count, half, most) = (sorted.len(), at(50), at(100));
        println!(
            "{kind}, {count} times: the longest wait was {half:?} (median), {:?} (p99), {most:?} at most",
            at(99)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_nodes_are_killed_stopped_and_frozen_loses_doubles_and_moves_nothing() -> Result<()> {
    let kills = number("WAGGLE_KILLS").map_or(KILLS_DEFAULT, |n: u64| n as usize);
    let sockets = number("WAGGLE_SOCKETS").map_or(SOCKETS_DEFAULT, |n: u64| n as usize);
    let frozen_max_ms = if kills > KILLS_DEFAULT { FROZEN_LONG_MAX_MS } else { FROZEN_MAX_MS };
    let chance = Entropy::from_u64(number("WAGGLE_KILL_SEED").unwrap_or(1)).fork("cluster");
    let serve = Serve { program: Program::Up(NODES), ..stage::plain(&[DRAIN_WINDOW]) };
    let env = serve.env.clone();
    let stage = Stage::open(serve).await?;
    let book = Arc::new(Book::default());
    let square = Square::gather(&stage, sockets).await?;
    let crowd = Crowd::gather(&stage, book.clone(), &chance).await?;
    let mut cluster = Cluster { stage: &stage, env, again: BTreeMap::new() };
    let (mut in_flight, mut waits) = (0, BTreeMap::<&str, Vec<Duration>>::new());
    let blows = Blow::all(kills);
    for blow in &blows {
        in_flight += usize::from(at_work(&crowd, &book, ACKS_BETWEEN_MIN, &chance).await?);
        book.longest_wait();
        let frozen = Duration::from_millis(1000 + chance.below(frozen_max_ms - 1000));
        cluster.strike(blow, &book, frozen).await?;
        let everyone = book.everyone(SENDERS * LANES, book.acks());
        step(&format!("an answer for everybody after {}", blow.kind()), everyone).await??;
        let waited = book.longest_wait();
        println!("{blow:?}: {waited:?}");
        waits.entry(blow.kind()).or_default().push(waited);
    }
    let said = square.judge().await?;
    let verdict = judge::judge(&stage.node, crowd, &book).await?;
    print_waits(&waits);
    println!("{in_flight} of {} blows with posts on their way\n{verdict:?}\n{said:?}", blows.len());
    ensure!(verdict.acks >= 2 * blows.len() as u64 * ACKS_BETWEEN_MIN);
    ensure!(in_flight * 10 >= blows.len() * 3, "too few blows met a post on its way");
    for node in std::mem::take(&mut cluster.again).into_values() {
        ensure!(node.stop().await? == 0, "a node did not drain");
    }
    ensure!(stage.node.stop().await? == 0, "the cluster did not end cleanly");
    Ok(())
}
