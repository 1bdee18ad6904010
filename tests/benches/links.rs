//! P19: envelopes a second of 128 bytes over one link, with mutual TLS as shipped, beside the same bytes over a bare
//! TCP stream in the same run.
//!
//! `cargo bench -p cells --bench links -- REPEATS`. Prints a line of JSON a repeat.

use bytes::{Bytes, BytesMut};
use cells::credentials::{Authority, Credentials};
use cells::links::{StreamLinks, tls::TlsTransport};
use cells::machine::{Machine, Threads};
use cluster::host::Host;
use cluster::link::{Class, LinkConfig, LinkError, LinkEvent, Links};
use cluster::node::{BootId, CellId, Node, NodeId};
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

type Failure = Box<dyn Error + Send + Sync>;
type TlsLinks = Arc<StreamLinks<TlsTransport>>;

fn main() -> Result<(), Failure> {
    let repeats = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(3);
    let machine = Machine::start(Threads::default())?;
    let host = machine.host();
    machine.block_on(async {
        let (from, to, peer) = pair(&host).await?;
        for repeat in 0..repeats {
            let bare = bare(&host).await?;
            let link = link(&host, &from, &to, &peer).await?;
            println!(
                "{{\"row\":\"P19\",\"repeat\":{repeat},\"link_per_s\":{:.0},\"bare_per_s\":{:.0}}}",
                ENVELOPES as f64 / link.as_secs_f64(),
                ENVELOPES as f64 / bare.as_secs_f64()
            );
        }
        Ok(())
    })
}

/// Two nodes with a link between them, and the name of the second.
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
    while !matches!(from.next().await, Some(LinkEvent::Up { .. })) {}
    while !matches!(to.next().await, Some(LinkEvent::Up { .. })) {}
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
