//! The network: who reaches whom, how late, and what becomes of connections when a machine dies.
//!
//! A cut path stalls what is on it until it heals, as retransmission would; nothing is lost within a connection.
//! A process that is killed resets its connections; a machine without power says nothing until it is back, and
//! then resets those that still wait for it.

use crate::world::{
    World, clock,
    machine::{Crash, Life, MachineId},
    stream::{SimStream, Wire},
};
use bytes::Bytes;
use cluster::{host::Entropy, swim::Address};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind},
    sync::{Arc, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Connections that wait to be accepted; more are refused.
pub const BACKLOG_MAX: usize = 128;
/// How long a connect waits for a machine that says nothing.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time that bytes are on their way, at least and at most.
pub type Latency = (Duration, Duration);

/// A good local network.
pub const LATENCY_DEFAULT: Latency = (Duration::from_micros(100), Duration::from_millis(2));

/// How late a piece is that was lost once or more. Source: TCP's least retransmission time-out of 200 ms (Linux).
pub const RETRANSMITTED: Latency = (Duration::from_millis(200), Duration::from_secs(1));

type Path = (MachineId, MachineId);

/// State of the network.
#[derive(Default)]
pub(crate) struct Network {
    wires: BTreeMap<u64, Weak<Wire>>,
    opened: u64,
    sweep_at: usize,
    listeners: BTreeMap<(MachineId, u16), (Life, mpsc::Sender<SimStream>)>,
    sockets: BTreeMap<(MachineId, u16), (Life, Socket)>,
    latency: BTreeMap<Path, Latency>,
    /// So many pieces of so many are lost, and, on a stream, sent again.
    loss: BTreeMap<Path, (u64, u64)>,
    cut: BTreeSet<Path>,
    /// Machines that no datagram reaches.
    deaf: BTreeSet<MachineId>,
    stalled: BTreeMap<Path, Vec<Stalled>>,
}

/// Where datagrams that arrive are put.
type Socket = mpsc::Sender<(Address, Bytes)>;

/// Takes up again what was stalled by a cut.
type Stalled = Box<dyn FnOnce(&World) + Send>;

/// Connections that were made to a port.
pub struct Listener(mpsc::Receiver<SimStream>);

impl Listener {
    /// The next connection; `None` never, while the machine lives.
    pub async fn accept(&mut self) -> Option<SimStream> {
        self.0.recv().await
    }
}

impl World {
    /// Listens on a port of a running machine until it goes down.
    pub fn listen(&self, machine: MachineId, port: u16) -> Listener {
        let life = self.life(machine).expect("only a running machine listens");
        let (accepted, listener) = mpsc::channel(BACKLOG_MAX);
        self.network().listeners.insert((machine, port), (life, accepted));
        Listener(listener)
    }

    /// Connects from one machine to a port of another.
    ///
    /// # Errors
    /// `ConnectionRefused` where nobody listens, `TimedOut` where nobody answers.
    pub async fn connect(&self, from: MachineId, to: MachineId, port: u16) -> io::Result<SimStream> {
        let me = self.life(from).ok_or(ErrorKind::NotConnected)?;
        let id = self.network().open();
        let chance = self.entropy(&format!("connect/{id}"));
        let there = self.latency(from, to, &chance);
        self.sleep_of(Some(me), there).await;
        let answer = match self.life(to) {
            Some(peer) if self.reaches(from, to) && self.reaches(to, from) => {
                self.knock(id, me, peer, port).await
            }
            None if !self.is_dark(to) => Some(Err(ErrorKind::ConnectionRefused.into())),
            _ => None,
        };
        let Some(answer) = answer else {
            self.sleep_of(Some(me), CONNECT_TIMEOUT).await;
            return Err(ErrorKind::TimedOut.into());
        };
        let back = self.latency(to, from, &chance);
        self.sleep_of(Some(me), back).await;
        answer
    }

    /// Has the peer's kernel look for a listener. `None`: the peer died and says nothing.
    async fn knock(&self, id: u64, me: Life, peer: Life, port: u16) -> Option<io::Result<SimStream>> {
        let (answer, answered) = oneshot::channel();
        let world = self.clone();
        self.schedule(Duration::ZERO, Some(peer), "connect", [id, u64::from(port)], move || {
            // A caller that has given up drops its end, which closes the connection.
            drop(answer.send(world.accept(id, me, peer, port)));
        });
        answered.await.ok()
    }

    fn accept(&self, id: u64, me: Life, peer: Life, port: u16) -> io::Result<SimStream> {
        let listener = self.network().listeners.get(&(peer.machine, port)).cloned();
        let (_, accepted) =
            listener.filter(|(listening, _)| *listening == peer).ok_or(ErrorKind::ConnectionRefused)?;
        let room = accepted.try_reserve().map_err(|_| ErrorKind::ConnectionRefused)?;
        let wire = Arc::new(Wire::new(self, id, [me, peer]));
        self.network().keep(id, Arc::downgrade(&wire));
        room.send(SimStream::new(self.clone(), wire.clone(), 1));
        Ok(SimStream::new(self.clone(), wire, 0))
    }

    /// Sets how late bytes arrive on the way from one machine to another.
    pub fn set_latency(&self, from: MachineId, to: MachineId, latency: Latency) {
        self.network().latency.insert((from, to), latency);
    }

    /// Has so many pieces of so many get lost on the way from one machine to another. On a stream they come later, as
    /// retransmission has it; a datagram does not come.
    pub fn set_loss(&self, from: MachineId, to: MachineId, loss: Option<(u64, u64)>) {
        let mut network = self.network();
        match loss {
            Some(loss) => drop(network.loss.insert((from, to), loss)),
            None => drop(network.loss.remove(&(from, to))),
        }
    }

    /// Cuts the way from one machine to another; the way back stays.
    pub fn cut(&self, from: MachineId, to: MachineId) {
        self.count("world.cut", 1);
        self.note(Some(from), "cut", [u64::from(to.0), 0], "");
        self.network().cut.insert((from, to));
    }

    /// Cuts both ways between two machines.
    pub fn part(&self, one: MachineId, other: MachineId) {
        self.cut(one, other);
        self.cut(other, one);
    }

    /// Lets no datagram through to a machine, as a wall does that lets streams pass.
    pub fn deafen(&self, machine: MachineId) {
        self.count("world.deafened", 1);
        self.note(Some(machine), "deafen", [0, 0], "");
        self.network().deaf.insert(machine);
    }

    /// Heals it: what was stalled arrives.
    pub fn heal(&self, from: MachineId, to: MachineId) {
        let stalled = {
            let mut network = self.network();
            network.cut.remove(&(from, to));
            network.stalled.remove(&(from, to)).unwrap_or_default()
        };
        self.note(Some(from), "heal", [u64::from(to.0), stalled.len() as u64], "");
        stalled.into_iter().for_each(|resume| resume(self));
    }

    /// Heals everything that was done to paths.
    pub fn heal_all(&self) {
        let cut: Vec<Path> = {
            let mut network = self.network();
            network.loss.clear();
            network.latency.clear();
            network.deaf.clear();
            network.cut.iter().copied().collect()
        };
        cut.into_iter().for_each(|(from, to)| self.heal(from, to));
    }

    /// Resets every connection between two machines, as a middle box that forgot them would.
    pub fn reset(&self, one: MachineId, other: MachineId) {
        self.count("world.reset", 1);
        let wires = self.network().living();
        for wire in wires {
            let [first, second] = wire.ends;
            if (first.machine, second.machine) == (one, other)
                || (first.machine, second.machine) == (other, one)
            {
                wire.reset_by(self, first);
                wire.reset_by(self, second);
            }
        }
    }

    /// Machines to which connections of this one are open, or half open.
    pub fn connected(&self, machine: MachineId) -> BTreeSet<MachineId> {
        let wires = self.network().living();
        let ends = wires.iter().map(|wire| wire.ends.map(|end| end.machine));
        ends.flat_map(|[one, other]| [(one, other), (other, one)])
            .filter_map(|(one, other)| (one == machine).then_some(other))
            .collect()
    }

    pub(crate) fn reaches(&self, from: MachineId, to: MachineId) -> bool {
        !self.network().cut.contains(&(from, to))
    }

    /// How long a piece of a stream is on its way, with what is lost and sent again.
    pub(crate) fn latency(&self, from: MachineId, to: MachineId, chance: &Entropy) -> Duration {
        if self.loses(from, to, chance) {
            between(RETRANSMITTED, chance)
        } else {
            self.delay(from, to, chance)
        }
    }

    /// How long what is not lost is on its way.
    pub(crate) fn delay(&self, from: MachineId, to: MachineId, chance: &Entropy) -> Duration {
        let bounds = self.network().latency.get(&(from, to)).copied();
        between(bounds.unwrap_or(LATENCY_DEFAULT), chance)
    }

    /// Whether this piece is lost.
    pub(crate) fn loses(&self, from: MachineId, to: MachineId, chance: &Entropy) -> bool {
        let loss = self.network().loss.get(&(from, to)).copied();
        loss.is_some_and(|(lost, of)| chance.chance(lost, of))
    }

    /// Who reads datagrams there.
    pub(crate) fn socket(&self, machine: MachineId, port: u16) -> Option<Socket> {
        self.network().sockets.get(&(machine, port)).map(|(_, socket)| socket.clone())
    }

    pub(crate) fn is_deaf(&self, machine: MachineId) -> bool {
        self.network().deaf.contains(&machine)
    }

    /// A segment waits for the path to heal.
    pub(crate) fn stall(&self, from: MachineId, to: MachineId, wire: Arc<Wire>, side: usize) {
        let resume: Stalled = Box::new(move |world| wire.travel(world, side, 0));
        self.network().stalled.entry((from, to)).or_default().push(resume);
    }

    /// A life has ended: what its peers notice at once.
    pub(crate) fn hang_up(&self, life: Life, crash: Crash) {
        self.network().listeners.retain(|_, (listening, _)| *listening != life);
        self.network().sockets.retain(|_, (reading, _)| *reading != life);
        if crash == Crash::Process {
            let wires = self.network().living();
            wires.iter().filter(|wire| wire.ends.contains(&life)).for_each(|wire| wire.reset_by(self, life));
        }
    }

    /// A machine is back: it answers what was sent to its earlier lives with a reset.
    pub(crate) fn answer_for_the_dead(&self, life: Life) {
        let wires = self.network().living();
        for wire in wires {
            for (side, end) in wire.ends.iter().enumerate() {
                if end.machine == life.machine && *end != life && wire.is_unanswered(1 - side) {
                    wire.reset_by(self, *end);
                }
            }
        }
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.0.network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn between((low, high): Latency, chance: &Entropy) -> Duration {
    let width = clock::nanos(high.saturating_sub(low));
    low + Duration::from_nanos(chance.below(width + 1))
}

impl Network {
    pub(crate) fn open_socket(&mut self, machine: MachineId, port: u16, life: Life, socket: Socket) {
        self.sockets.insert((machine, port), (life, socket));
    }

    fn open(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }

    fn keep(&mut self, id: u64, wire: Weak<Wire>) {
        if self.wires.len() >= self.sweep_at {
            self.wires.retain(|_, wire| wire.strong_count() > 0);
            self.sweep_at = 1024.max(2 * self.wires.len());
        }
        self.wires.insert(id, wire);
    }

    fn living(&self) -> Vec<Arc<Wire>> {
        self.wires.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests;
