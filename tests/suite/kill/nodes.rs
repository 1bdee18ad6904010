//! A cluster of real processes whose nodes are killed (`kill -9`) and stopped in order, one after the other under
//! load, each started again by its configuration, and the one that keeps the store last: nothing acknowledged is lost,
//! doubled or moved, and no client is shown an error.
//!
//! The suite kills and stops each node once; `WAGGLE_KILLS=40` is the long form, `WAGGLE_KILL_SEED` another run of
//! chance.

use super::book::Book;
use super::load::Crowd;
use super::{at_work, judge, number};
use crate::native::stage::{self, Stage};
use anyhow::{Result, ensure};
use cluster::host::Entropy;
use std::collections::BTreeMap;
use std::sync::Arc;
use tests::harness::{Node, Program, Serve, gone, send, step};

/// Nodes beside the store.
const NODES: usize = 3;
const STORE: &str = "store";
/// Acks between two kills, at least.
const ACKS_BETWEEN_MIN: u64 = 500;
/// Sessions of a node that is stopped leave within a second.
const DRAIN_WINDOW: (&str, &str) = ("WAGGLE_NODE__DRAIN_WINDOW_MS", "1000");

/// The cluster, and those of its processes that were started again.
struct Cluster<'a> {
    stage: &'a Stage,
    env: Vec<(String, String)>,
    again: BTreeMap<String, Node>,
}

impl Cluster<'_> {
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
    /// Starts it again; it takes work when this returns.
    async fn start(&mut self, name: &str) -> Result<()> {
        let program = Program::Again(format!("{name}/waggle.toml"));
        let data = Some(self.stage.node.data.clone());
        let node = Node::serve(Serve { program, data, env: self.env.clone(), ..Serve::default() }).await?;
        self.again.insert(name.to_owned(), node);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_nodes_are_killed_and_stopped_loses_doubles_and_moves_nothing() -> Result<()> {
    let kills = number("WAGGLE_KILLS").map_or(NODES, |n: u64| n as usize);
    let chance = Entropy::from_u64(number("WAGGLE_KILL_SEED").unwrap_or(1)).fork("cluster");
    let serve = Serve { program: Program::Up(NODES), ..stage::plain(&[DRAIN_WINDOW]) };
    let env = serve.env.clone();
    let stage = Stage::open(serve).await?;
    let book = Arc::new(Book::default());
    let crowd = Crowd::gather(&stage, book.clone(), &chance).await?;
    let mut cluster = Cluster { stage: &stage, env, again: BTreeMap::new() };
    let mut in_flight = 0;
    // Each is killed and stopped in turn: their number is odd.
    let turns = (0..2 * kills).map(|n| (format!("node-{}", 1 + n % NODES), n % 2));
    for (name, kind) in turns.chain([(STORE.to_owned(), 0)]) {
        let signal = if kind == 0 { libc::SIGKILL } else { libc::SIGTERM };
        in_flight += usize::from(at_work(&crowd, &book, ACKS_BETWEEN_MIN, &chance).await?);
        cluster.end(&name, signal).await?;
        if name != STORE {
            let others = book.reach(book.acks() + ACKS_BETWEEN_MIN);
            step(&format!("acks of the others without {name}"), others).await??;
        }
        cluster.start(&name).await?;
    }
    step("acks after the last kill", book.reach(book.acks() + ACKS_BETWEEN_MIN)).await??;
    let verdict = judge::judge(&stage.node, crowd, &book).await?;
    println!("{in_flight} of {} ends with posts on their way\n{verdict:?}", 2 * kills + 1);
    ensure!(verdict.acks >= 2 * kills as u64 * ACKS_BETWEEN_MIN);
    for node in std::mem::take(&mut cluster.again).into_values() {
        ensure!(node.stop().await? == 0, "a node did not drain");
    }
    ensure!(stage.node.stop().await? == 0, "the cluster did not end cleanly");
    Ok(())
}
