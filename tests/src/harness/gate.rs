//! An address of loopback that leads to another one, by TCP and by UDP, as a network does that can be cut or bad.

use anyhow::{Context, Result};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tries to find a port that is free for both.
const PORTS_TRIED: usize = 16;
/// Bytes that are passed on at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// Datagrams and connections under way at a time; more datagrams are lost, more connections wait.
const UNDER_WAY_MAX: usize = 1024;

/// What becomes of what goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Nothing comes through otherwise, and nobody is told so.
    pub is_open: bool,
    /// Each piece of a stream and each datagram takes so much longer.
    pub delay: Duration,
    /// Of ten datagrams in a row.
    pub lost_of_ten: usize,
}

impl Way {
    /// As if it were not there.
    pub const FREE: Self = Self { is_open: true, delay: Duration::ZERO, lost_of_ten: 0 };
    /// Cut.
    pub const CUT: Self = Self { is_open: false, ..Self::FREE };
}

/// The way to an address. Dropped, it leads nowhere.
pub struct Gate {
    address: String,
    way: watch::Sender<Way>,
    _passing: JoinSet<()>,
}

impl Gate {
    /// A free way to this address of loopback.
    pub async fn to(address: &str) -> Result<Self> {
        let (tcp, udp) = bind().await?;
        let (own, (way, seen)) = (tcp.local_addr()?.to_string(), watch::channel(Way::FREE));
        let mut passing = JoinSet::new();
        passing.spawn(streams(tcp, address.to_owned(), seen.clone()));
        passing.spawn(datagrams(Arc::new(udp), address.to_owned(), seen));
        Ok(Self { address: own, way, _passing: passing })
    }

    /// Where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on it is like this.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn bind() -> Result<(TcpListener, UdpSocket)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS_TRIED {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) => last = error,
        }
    }
    Err(last).context("a port that is free for TCP and UDP")
}

async fn streams(from: TcpListener, to: String, way: watch::Receiver<Way>) {
    let mut open = JoinSet::new();
    while let Ok((near, _)) = from.accept().await {
        while open.try_join_next().is_some() {}
        if open.len() >= UNDER_WAY_MAX {
            open.join_next().await;
        }
        let (to, way) = (to.clone(), way.clone());
        open.spawn(async move {
            let Ok(far) = TcpStream::connect(&to).await else { return };
            let ((near_reads, near_writes), (far_reads, far_writes)) = (near.into_split(), far.into_split());
            tokio::select! {
                _ = pass(near_reads, far_writes, way.clone()) => {}
                _ = pass(far_reads, near_writes, way) => {}
            }
        });
    }
}

/// Passes bytes on until one side ends.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) -> Option<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let bytes = from.read(&mut piece).await.ok().filter(|bytes| *bytes > 0)?;
        let delay = way.borrow().delay;
        rest(delay).await;
        way.wait_for(|way| way.is_open).await.ok()?;
        to.write_all(&piece[..bytes]).await.ok()?;
    }
}

async fn datagrams(socket: Arc<UdpSocket>, to: String, way: watch::Receiver<Way>) {
    let (mut datagram, mut count, mut under_way) = (vec![0; PIECE_BYTES], 0, JoinSet::new());
    loop {
        // Of a datagram that could not be delivered before: the next one is read all the same.
        let Ok(bytes) = socket.recv(&mut datagram).await else { continue };
        let now = *way.borrow();
        count += 1;
        while under_way.try_join_next().is_some() {}
        if !now.is_open || count % 10 < now.lost_of_ten || under_way.len() >= UNDER_WAY_MAX {
            continue;
        }
        let (socket, to, datagram) = (socket.clone(), to.clone(), datagram[..bytes].to_vec());
        under_way.spawn(async move {
            rest(now.delay).await;
            let _ = socket.send_to(&datagram, &to).await; // nobody there: it is lost
        });
    }
}

#[allow(clippy::disallowed_methods)] // A network between real processes is slow on the real clock.
async fn rest(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
