//! Datagrams over UDP.

use bytes::Bytes;
use cluster::{
    gossip::Datagrams, host::Host, swim::Address, swim::DATAGRAM_BYTES_MAX, swim::seal::SEAL_BYTES,
};
use futures::future::BoxFuture;
use std::{io, sync::Arc, time::Duration};
use tokio::net::UdpSocket;

/// After a failed read (an ICMP error of a peer that is gone) the socket rests this long.
const READ_REST: Duration = Duration::from_millis(1);

/// A socket for gossip.
pub struct UdpDatagrams {
    host: Host,
    socket: Arc<UdpSocket>,
}

impl UdpDatagrams {
    /// Listens on an address; port 0 picks one.
    pub async fn bind(host: &Host, address: &str) -> io::Result<Self> {
        Ok(Self { host: host.clone(), socket: Arc::new(UdpSocket::bind(address).await?) })
    }
    /// Where it listens.
    pub fn address(&self) -> io::Result<Address> {
        Ok(Address::parse(self.socket.local_addr()?.to_string()).expect("a socket's address is short"))
    }
}

impl Datagrams for UdpDatagrams {
    fn send(&self, to: &Address, datagram: Vec<u8>) {
        // Addresses in gossip are those of sockets; one that is a name is looked up, beside everything else.
        match to.as_str().parse() {
            Ok(address) => drop(self.socket.try_send_to(&datagram, address)),
            Err(_) => {
                let (socket, to) = (self.socket.clone(), to.clone());
                self.host.spawn("datagram", async move {
                    if let Err(error) = socket.send_to(&datagram, to.as_str()).await {
                        tracing::debug!(%to, %error, "datagram not sent");
                    }
                });
            }
        }
    }

    fn next(&self) -> BoxFuture<'_, Option<(Address, Bytes)>> {
        Box::pin(async move {
            let mut buffer = [0; DATAGRAM_BYTES_MAX + SEAL_BYTES];
            loop {
                match self.socket.recv_from(&mut buffer).await {
                    Ok((length, from)) => {
                        let from = Address::parse(from.to_string()).expect("a socket's address is short");
                        return Some((from, Bytes::copy_from_slice(&buffer[..length])));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "datagram not read");
                        self.host.sleep(READ_REST).await;
                    }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, Threads};
    use cluster::{
        gossip::Gossip,
        node::{BootId, CellId, NodeId},
        swim::{Identity, Swim, SwimConfig},
    };

    /// A node that takes part over loopback; it knows the address of `seed`.
    async fn join(host: &Host, number: u64, key: u8, seed: Option<&Address>) -> (Gossip, Address) {
        let socket = UdpDatagrams::bind(host, "127.0.0.1:0").await.unwrap();
        let gossip = socket.address().unwrap();
        let me = Identity {
            node: NodeId::parse(&format!("n{number}")).unwrap(),
            boot: BootId(number),
            cell: CellId::parse("a").unwrap(),
            gossip: gossip.clone(),
            link: gossip.clone(),
            rank: host.now_us(),
        };
        let seeds = seed.into_iter().cloned().collect();
        let swim = Swim::new(me, seeds, SwimConfig::default(), &host.entropy().fork(&number.to_string()));
        (Gossip::start(host, swim, &[[key; 32]], Arc::new(socket)), gossip)
    }

    #[test]
    fn nodes_meet_by_one_address_and_a_stranger_without_the_key_meets_nobody() {
        let machine = Machine::start(Threads { shards: 1, workers: 2, blocking_max: 1 }).unwrap();
        machine.block_on(async {
            let host = machine.host();
            let (first, seed) = join(&host, 0, 7, None).await;
            let (stranger, _) = join(&host, 9, 8, Some(&seed)).await;
            let mut all = vec![first];
            for number in 1..4 {
                all.push(join(&host, number, 7, Some(&seed)).await.0);
            }
            for gossip in &mut all {
                while gossip.view().members.len() < 3 {
                    assert!(gossip.changed().await);
                }
                assert!(gossip.view().life(&NodeId::parse("n9").unwrap()).is_none());
            }
            assert_eq!(stranger.view().members.len(), 0);
        });
    }
}
