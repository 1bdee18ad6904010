//! P19: envelopes a second of 128 bytes over one link, with mutual TLS as shipped, beside the same bytes over a bare
//! TCP stream and beside remote actors in the same run; how long a call takes, and what a peer costs that takes
//! nothing.
//!
//! `cargo bench -p cells --bench links -- REPEATS`. Prints a line of JSON a repeat, and one at the end.

mod remote_actors;

use bytes::{Bytes, BytesMut};
use cells::credentials::{Authority, Credentials};
use cells::links::{StreamLinks, tls::TlsTransport};
use cells::machine::{Machine, Threads};
use cluster::host::Host;
use cluster::link::roles::Roles;
use cluster::link::{Class, LinkConfig, LinkError, LinkEvent, Links};
use cluster::node::{BootId, CellId, Node, NodeId};
use cluster::switchboard::{Service, Switchboard};
use futures::FutureExt;
use futures::future::BoxFuture;
use remote_actors::Remote;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Envelopes of a repeat.
const ENVELOPES: u64 = 3_000_000;
/// Bytes of each.
const BYTES: usize = 128;
/// Envelopes of one write of the bare stream: as many as a batch of a link has.
const BATCH: usize = 256;
/// How long a sender rests whose queue is full.
const REST: Duration = Duration::from_micros(50);
/// Calls whose times are taken, and the longest time of one.
const CALLS: usize = 2000;
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The longest time of a part: each is over in seconds.
const DONE_WITHIN: Duration = Duration::from_secs(120);
/// Envelopes for a peer that takes nothing, at most.
const UNREAD_MAX: u64 = 1_000_000;
/// The switchboard's number of the echo.
const ECHO: u32 = 99;
/// Bytes of a page of memory.
const PAGE: u64 = 4096;

type Failure = Box<dyn Error + Send + Sync>;
type TlsLinks = Arc<StreamLinks<TlsTransport>>;

/// The middle and the end of times, in microseconds.
pub struct Figures {
    p50_us: u128,
    p99_us: u128,
}

impl Figures {
    /// Of calls one after the other.
    pub async fn of(
        host: &Host,
        mut call: impl AsyncFnMut() -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let began = host.monotonic();
            call().await?;
            times.push(host.monotonic() - began);
        }
        times.sort_unstable();
        let at = |share: usize| times[CALLS * share / 100].as_micros();
        Ok(Self { p50_us: at(50), p99_us: at(99) })
    }
}

/// Bytes of memory that this process has.
fn resident() -> Result<u64, Failure> {
    let said = std::fs::read_to_string("/proc/self/statm")?;
    Ok(said.split(' ').nth(1).ok_or("no figure")?.parse::<u64>()? * PAGE)
}

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip_while(|word| word != remote_actors::PEER).skip(1);
    if let Some(port) = words.next() {
        return remote_actors::be_peer(port.parse()?);
    }
    let repeats = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let machine = Machine::start(Threads::default())?;
    let host = machine.host();
    machine.block_on(async {
        let (from, to, peer) = within(&host, linked(&host)).await?;
        let remote = within(&host, Remote::start(&host)).await?;
        for repeat in 0..repeats {
            let bare = within(&host, bare(&host)).await?;
            let link = within(&host, link(&host, &from, &to, &peer)).await?;
            println!(
                "{{\"row\":\"P19\",\"repeat\":{repeat},\"link_per_s\":{:.0},\"bare_per_s\":{:.0},\
                 \"actors_per_s\":{:.0}}}",
                ENVELOPES as f64 / link.as_secs_f64(),
                ENVELOPES as f64 / bare.as_secs_f64(),
                within(&host, remote.per_s(&host)).await?
            );
        }
        let (taken, grown) = within(&host, unread(&host, &from, &peer)).await?;
        let (ours, theirs) = (within(&host, calls(&host)).await?, within(&host, remote.calls(&host)).await?);
        let (casts, swollen) = remote.frozen()?;
        println!(
            "{{\"row\":\"lanes\",\"link_call_p50_us\":{},\"link_call_p99_us\":{},\"actors_call_p50_us\":{},\
             \"actors_call_p99_us\":{},\"link_unread\":{taken},\"link_unread_bytes\":{grown},\
             \"actors_unread\":{casts},\"actors_unread_bytes\":{swollen}}}",
            ours.p50_us, ours.p99_us, theirs.p50_us, theirs.p99_us
        );
        Ok(())
    })
}

/// A part that ends in time.
async fn within<T>(host: &Host, part: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    host.timeout(DONE_WITHIN, part).await?
}

/// What a peer that takes nothing costs: envelopes that are taken for it until all are refused, and bytes of memory.
async fn unread(host: &Host, from: &TlsLinks, peer: &NodeId) -> Result<(u64, u64), Failure> {
    let (before, mut taken) = (resident()?, 0);
    // What is refused for lack of room is on its way for a moment: the end is when nothing has moved for long.
    let mut full = 0;
    while full < 1000 && taken < UNREAD_MAX {
        match from.send(peer, Class::Normal, Bytes::from(vec![7; BYTES])) {
            Ok(()) => (taken, full) = (taken + 1, 0),
            Err(LinkError::Full) => {
                full += 1;
                host.sleep(REST).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((taken, resident()?.saturating_sub(before)))
}

/// Says back what it is told.
struct Echo;

impl Service for Echo {
    fn call(&self, _: &NodeId, body: Bytes) -> BoxFuture<'static, Bytes> {
        async { body }.boxed()
    }
    fn notice(&self, _: &NodeId, _: Bytes) {}
}

/// Times from a question to its answer over a link.
async fn calls(host: &Host) -> Result<Figures, Failure> {
    let (from, to, peer) = pair(host).await?;
    let (asks, answers) = (Switchboard::start(host, from), Switchboard::start(host, to));
    answers.offer(ECHO, Roles::ALL, Arc::new(Echo));
    while !asks.peers().contains_key(&peer) || answers.peers().is_empty() {
        host.sleep(REST).await;
    }
    let call = async || {
        let body = Bytes::from(vec![7; BYTES]);
        asks.call(&peer, Class::Urgent, ECHO, body, ANSWERED_WITHIN).await?;
        Ok(())
    };
    Figures::of(host, call).await
}

/// Two nodes with a link between them, and the name of the second.
async fn linked(host: &Host) -> Result<(TlsLinks, TlsLinks, NodeId), Failure> {
    let (from, to, peer) = pair(host).await?;
    while !matches!(from.next().await, Some(LinkEvent::Up { .. })) {}
    while !matches!(to.next().await, Some(LinkEvent::Up { .. })) {}
    Ok((from, to, peer))
}

/// Two nodes of which the first meets the second.
async fn pair(host: &Host) -> Result<(TlsLinks, TlsLinks, NodeId), Failure> {
    let (authority, kept) = Authority::make(host.now_us())?;
    let mut nodes = Vec::new();
    for name in ["a", "b"] {
        let node = Node { id: NodeId::parse(name)?, boot: BootId(1), cell: CellId::parse("c")? };
        let shown = Credentials::of(&kept.certificate, &authority.issue(&node.id, &[], host.now_us(), 1)?)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let transport = TlsTransport::new(host, listener, &shown)?;
        let links = StreamLinks::start(host, node.clone(), LinkConfig::default(), transport);
        nodes.push((Arc::new(links), node.id, address));
    }
    let (to, peer, address) = nodes.pop().ok_or("two were made")?;
    let (from, ..) = nodes.pop().ok_or("two were made")?;
    from.meet(&peer, address);
    Ok((from, to, peer))
}

/// Time until the last envelope of a link has arrived.
async fn link(host: &Host, from: &TlsLinks, to: &TlsLinks, peer: &NodeId) -> Result<Duration, Failure> {
    let (began, payload) = (host.monotonic(), Bytes::from(vec![7; BYTES]));
    let (sender, peer, resting) = (from.clone(), peer.clone(), host.clone());
    host.spawn("sender", async move {
        let mut sent = 0;
        while sent < ENVELOPES {
            match sender.send(&peer, Class::Normal, payload.clone()) {
                Ok(()) => sent += 1,
                Err(LinkError::Full) => resting.sleep(REST).await,
                Err(error) => panic!("the link ended: {error}"),
            }
        }
    });
    let mut arrived = 0;
    while arrived < ENVELOPES {
        match to.next().await {
            Some(LinkEvent::Frame { payload, .. }) if payload.len() == BYTES => arrived += 1,
            other => return Err(format!("not an envelope: {other:?}").into()),
        }
    }
    Ok(host.monotonic() - began)
}

/// The same bytes with a length before each, many a write, over TCP without TLS.
async fn bare(host: &Host) -> Result<Duration, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut writing = TcpStream::connect(listener.local_addr()?).await?;
    let (mut reading, _) = listener.accept().await?;
    let began = host.monotonic();
    host.spawn("bare sender", async move {
        let mut batch = BytesMut::new();
        for _ in 0..BATCH {
            batch.extend_from_slice(&(BYTES as u32).to_be_bytes());
            batch.extend_from_slice(&[7; BYTES]);
        }
        for _ in 0..ENVELOPES.div_ceil(BATCH as u64) {
            if writing.write_all(&batch).await.is_err() {
                return;
            }
        }
    });
    let (mut buffer, mut left) = (vec![0; 64 * 1024], ENVELOPES as usize * (BYTES + 4));
    while left > 0 {
        let read = reading.read(&mut buffer).await?;
        left = left.saturating_sub(read.max(1));
    }
    Ok(host.monotonic() - began)
}
