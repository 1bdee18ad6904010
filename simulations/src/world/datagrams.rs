//! Datagrams between machines: late, out of order, now and then doubled, lost where a path loses or is cut.

use crate::world::{
    World,
    machine::{Life, MachineId},
};
use bytes::Bytes;
use cluster::{gossip::Datagrams, host::Entropy, swim::Address};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, mpsc};

/// Datagrams that wait to be read; more are lost, as in a socket's buffer.
pub const SOCKET_DATAGRAMS_MAX: usize = 256;
/// One datagram in so many comes twice.
const DOUBLED_ONE_IN: u64 = 500;

/// A socket for datagrams on a port of one life of a machine.
pub struct SimDatagrams {
    world: World,
    life: Life,
    here: Address,
    chance: Entropy,
    inbox: Mutex<mpsc::Receiver<(Address, Bytes)>>,
}

/// Where a port of a machine is found.
pub fn address(machine: MachineId, port: u16) -> Address {
    Address::parse(format!("{}:{port}", machine.0)).expect("two numbers")
}

/// The machine and the port of an address.
fn place(address: &Address) -> Option<(MachineId, u16)> {
    let (machine, port) = address.as_str().split_once(':')?;
    Some((MachineId(machine.parse().ok()?), port.parse().ok()?))
}

impl World {
    /// A socket on a port of a running machine, until it goes down.
    pub fn datagrams(&self, machine: MachineId, port: u16) -> SimDatagrams {
        let life = self.life(machine).expect("only a running machine listens");
        let (arrived, inbox) = mpsc::channel(SOCKET_DATAGRAMS_MAX);
        self.network().open_socket(machine, port, life, arrived);
        let chance = self.entropy(&format!("datagrams/{}/{port}", machine.0));
        SimDatagrams {
            world: self.clone(),
            life,
            here: address(machine, port),
            chance,
            inbox: Mutex::new(inbox),
        }
    }
}

impl SimDatagrams {
    fn travel(&self, to: &Address, datagram: Bytes) {
        let Some((machine, port)) = place(to) else { return };
        let (world, from) = (&self.world, self.life.machine);
        let is_lost = !world.reaches(from, machine) || world.is_deaf(machine);
        if is_lost || world.loses(from, machine, &self.chance) {
            return world.count("world.datagram_lost", 1);
        }
        let (late, there) = (world.delay(from, machine, &self.chance), world.life(machine));
        let (arriving, here) = (world.clone(), self.here.clone());
        let print = xxhash_rust::xxh3::xxh3_64(&datagram);
        world.schedule(late, there, "datagram", [u64::from(from.0), print], move || {
            if let Some(socket) = arriving.socket(machine, port) {
                // A full buffer drops what comes.
                let _ = socket.try_send((here, datagram));
            }
        });
    }
}

impl Datagrams for SimDatagrams {
    fn send(&self, to: &Address, datagram: Vec<u8>) {
        if !self.world.lives(self.life) {
            return;
        }
        let datagram = Bytes::from(datagram);
        if self.chance.chance(1, DOUBLED_ONE_IN) {
            self.travel(to, datagram.clone());
        }
        self.travel(to, datagram);
    }

    fn next(&self) -> BoxFuture<'_, Option<(Address, Bytes)>> {
        Box::pin(async move { self.inbox.lock().await.recv().await })
    }
}
