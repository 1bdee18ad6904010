//! The lane that other clusters of Rust actors take: an actor of another process by `ractor_cluster`, over TCP without
//! TLS. Its registries are of the process, so that the peer is a process of its own: this program once more.

use super::{BYTES, Failure, Figures};
use cluster::host::Host;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call, pg};
use ractor_cluster::{NodeServer, NodeServerMessage, RactorClusterMessage, client_connect};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The word by which this program is told to be the peer; a port follows.
pub const PEER: &str = "peer";
/// Casts of a repeat: nothing bounds how many wait.
const CASTS: u64 = 300_000;
/// Casts to a peer that does nothing.
const CASTS_TO_FROZEN: u64 = 1_000_000;
/// Between two looks whether the peer is there.
const REST: Duration = Duration::from_millis(1);
const GROUP: &str = "counters";
const COOKIE: &str = "of a bench";

/// What the peer's actor takes.
#[derive(RactorClusterMessage)]
enum Ask {
    Envelope(Vec<u8>),
    #[rpc]
    Arrived(RpcReplyPort<u64>),
    #[rpc]
    Echo(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

struct Counter;

impl Actor for Counter {
    type Msg = Ask;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Ask>, (): ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }
    async fn handle(&self, _: ActorRef<Ask>, ask: Ask, arrived: &mut u64) -> Result<(), ActorProcessingErr> {
        match ask {
            Ask::Envelope(_) => *arrived += 1,
            Ask::Arrived(reply) => reply.send(std::mem::take(arrived))?,
            Ask::Echo(body, reply) => reply.send(body)?,
        }
        Ok(())
    }
}

async fn server(port: u16, name: &str) -> Result<ActorRef<NodeServerMessage>, Failure> {
    let server = NodeServer::new(port, COOKIE.into(), name.into(), "localhost".into(), None, None);
    let server = server.with_listen_addr(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(Actor::spawn(None, server, ()).await?.0)
}

/// Is the peer, until its parent is gone. Its actor is found when it has joined its group.
pub fn be_peer(port: u16) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (_server, counter) = runtime.block_on(async {
        let server = server(port, "b").await?;
        Ok::<_, Failure>((server, Actor::spawn(None, Counter, ()).await?.0))
    })?;
    pg::join(GROUP.into(), vec![counter.get_cell()]);
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The peer, and the way to its actor.
pub struct Remote {
    counter: ActorRef<Ask>,
    peer: Child,
    _server: ActorRef<NodeServerMessage>,
}

impl Remote {
    pub async fn start(host: &Host) -> Result<Self, Failure> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut peer = Command::new(std::env::current_exe()?);
        let peer = peer.args([PEER, &port.to_string()]).stdin(Stdio::piped()).spawn()?;
        let server = server(0, "a").await?;
        while client_connect(&server, ("127.0.0.1", port)).await.is_err() {
            host.sleep(REST).await;
        }
        let counter = loop {
            if let Some(cell) = pg::get_members(&GROUP.to_owned()).into_iter().next() {
                break cell.into();
            }
            host.sleep(REST).await;
        };
        Ok(Self { counter, peer, _server: server })
    }

    /// Envelopes a second until the last one has arrived.
    pub async fn per_s(&self, host: &Host) -> Result<f64, Failure> {
        let began = host.monotonic();
        for _ in 0..CASTS {
            self.counter.cast(Ask::Envelope(vec![7; BYTES]))?;
        }
        let arrived = call!(self.counter, Ask::Arrived)?;
        assert_eq!(arrived, CASTS, "all have arrived, in order");
        Ok(CASTS as f64 / (host.monotonic() - began).as_secs_f64())
    }

    /// Times from a question to its answer.
    pub async fn calls(&self, host: &Host) -> Result<Figures, Failure> {
        let call = async || {
            call!(self.counter, Ask::Echo, vec![7; BYTES])?;
            Ok(())
        };
        Figures::of(host, call).await
    }

    /// What a peer that does nothing more costs: casts that were taken for it, of so many, and bytes of memory.
    pub fn frozen(mut self) -> Result<(u64, u64), Failure> {
        let before = super::resident()?;
        let stopped = Command::new("kill").args(["-STOP", &self.peer.id().to_string()]).status()?;
        assert!(stopped.success(), "the peer is stopped");
        let cast = |_: &u64| self.counter.cast(Ask::Envelope(vec![7; BYTES])).is_ok();
        let taken = (0..CASTS_TO_FROZEN).filter(cast).count() as u64;
        let grown = super::resident()?.saturating_sub(before);
        self.peer.kill()?;
        self.peer.wait()?;
        Ok((taken, grown))
    }
}
