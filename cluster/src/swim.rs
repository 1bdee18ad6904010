//! Membership: who is there, by gossip. SWIM (Das, Gupta and Motivala, 2002) as foca has it, with what foca leaves out:
//! joining by an address alone, datagrams that only members can make ([`seal`]), and a damper for nodes that are slow
//! themselves ([`health`]). [`crate::gossip`] runs it.
//!
//! Owns: this node's view of the members of its cell. Pure: datagrams, time and timers are arguments and effects.
//! Promises: a node that starts, dies or is back in another life is known to all others soon; no view is ever proof.
//! May lose: any datagram.
//! Never does: decide anything: it is a hint for [`crate::fence`], and safety does not rest on it.

pub mod health;
pub mod identity;
pub mod seal;

use crate::{host::Entropy, node::NodeId};
use bytes::{BufMut, Bytes, BytesMut};
use foca::{
    Config as Settings, Foca, Header, Message, NoCustomBroadcast, Notification, PeriodicParams, PostcardCodec,
};
use health::Health;
pub use identity::{Address, AddressError, Identity};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use std::{
    num::{NonZeroU8, NonZeroUsize},
    time::Duration,
};

/// Largest datagram before it is sealed: with the seal it stays below what every network carries whole.
pub const DATAGRAM_BYTES_MAX: usize = 1200;
/// A timer that comes this late says that our own loop is slow.
pub const LATE: Duration = Duration::from_millis(100);

/// Times and numbers of the protocol. The defaults are what the table in ARCHITECTURE.md was measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwimConfig {
    /// One member is probed each period.
    pub probe_period: Duration,
    /// An answer that takes longer is asked for through others; below half the period.
    pub probe_rtt: Duration,
    /// So many others.
    pub indirect_probes: usize,
    /// A member that nobody reached is down after this long, unless it speaks up.
    pub suspect_to_down: Duration,
    /// News is told this often, to [`Self::gossip_members`].
    pub gossip: Duration,
    /// Members told at a time.
    pub gossip_members: usize,
    /// News is told at most this often by each member.
    pub transmissions: u8,
    /// A member is asked this often for everybody it knows: a datagram full of members, where there are so many.
    pub announce: Duration,
    /// Two that are down are asked this often: one that is up after all comes back so.
    pub announce_to_down: Duration,
    /// A node without members asks its seeds this often.
    pub join: Duration,
    /// Whether a node that is slow itself gives others more time.
    pub damped: bool,
}

impl Default for SwimConfig {
    fn default() -> Self {
        Self {
            probe_period: Duration::from_millis(300),
            probe_rtt: Duration::from_millis(100),
            indirect_probes: 8,
            suspect_to_down: Duration::from_millis(600),
            gossip: Duration::from_millis(100),
            gossip_members: 4,
            transmissions: 20,
            announce: Duration::from_secs(4),
            announce_to_down: Duration::from_secs(2),
            join: Duration::from_millis(500),
            damped: true,
        }
    }
}

impl SwimConfig {
    fn settings(&self) -> Settings {
        let some = |count: usize| NonZeroUsize::new(count.max(1)).expect("at least one");
        let every = |frequency, members| Some(PeriodicParams { frequency, num_members: some(members) });
        Settings {
            probe_period: self.probe_period,
            probe_rtt: self.probe_rtt,
            num_indirect_probes: some(self.indirect_probes),
            max_transmissions: NonZeroU8::new(self.transmissions.max(1)).expect("at least one"),
            suspect_to_down_after: self.suspect_to_down,
            remove_down_after: Some(Duration::from_secs(24 * 3600)),
            max_packet_size: some(DATAGRAM_BYTES_MAX - 1),
            // See `spares`.
            notify_down_members: true,
            periodic_announce: every(self.announce, 1),
            periodic_announce_to_down_members: every(self.announce_to_down, 2),
            periodic_gossip: every(self.gossip, self.gossip_members),
        }
    }
}

/// What wakes the protocol again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// One of foca's.
    Inner(foca::Timer<Identity>),
    /// Ask the seeds, if nobody is known yet.
    Join,
}

/// What is to be done for the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a datagram; it may get lost.
    Send {
        /// Where to.
        to: Address,
        /// At most [`DATAGRAM_BYTES_MAX`] bytes, to be sealed.
        datagram: Bytes,
    },
    /// Hand the timer back after this long.
    Wake {
        /// How long.
        after: Duration,
        /// What for.
        timer: Timer,
    },
    /// The view has changed.
    Seen(Seen),
}

/// A change of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A member, in this life, is there.
    Up(Identity),
    /// It is not, as far as members know.
    Down(Identity),
    /// Others had taken this node for dead: it goes on under this identity, in the same life.
    Renewed(Identity),
    /// Members believed this name to be that life's: an earlier one's when the clock went back, or a second process's.
    Namesake(Identity),
}

/// Kinds of datagrams.
const GOSSIP: u8 = 1;
const WHO: u8 = 2;
const HERE: u8 = 3;
const RIVAL: u8 = 4;

/// A node's part in the protocol.
pub struct Swim {
    foca: Foca<Identity, PostcardCodec, ChaCha12Rng, NoCustomBroadcast>,
    config: SwimConfig,
    seeds: Vec<Address>,
    health: Health,
    /// Who did not answer last, if nobody has answered since.
    missed: Option<NodeId>,
}

impl Swim {
    /// A node that knows nobody. `seeds`: where some member may be.
    pub fn new(me: Identity, seeds: Vec<Address>, config: SwimConfig, entropy: &Entropy) -> Self {
        let mut seed = [0; 32];
        entropy.fork("swim").fill(&mut seed);
        let chance = ChaCha12Rng::from_seed(seed);
        let foca = Foca::new(me, config.settings(), chance, PostcardCodec);
        Self { foca, config, seeds, health: Health::default(), missed: None }
    }

    /// This node as others know it.
    pub fn me(&self) -> &Identity {
        self.foca.identity()
    }
    /// Members that are not down, and whether somebody suspects them.
    pub fn members(&self) -> impl Iterator<Item = (&Identity, bool)> {
        self.foca.iter_members().map(|member| (member.id(), member.state() == foca::State::Suspect))
    }
    /// Another number when anything of the view is another, up to chance: a view of a thousand members is not made
    /// again for each datagram.
    pub fn fingerprint(&self) -> u64 {
        let of = |identity: &Identity, more: u64| {
            let mixed = identity.boot.0.wrapping_add(identity.rank.rotate_left(17)).wrapping_add(more);
            mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mixed.rotate_left(31)
        };
        let members = self.members().map(|(identity, is_suspected)| of(identity, u64::from(is_suspected)));
        // The order in which members are told is of no matter.
        members.fold(of(self.me(), u64::from(self.health()) << 32), u64::wrapping_add)
    }
    /// How slow this node takes itself to be: 0 not at all, [`health::SCORE_MAX`] very.
    pub fn health(&self) -> u32 {
        self.health.score()
    }

    /// Begins.
    pub fn start(&mut self) -> Vec<Effect> {
        self.join()
    }

    /// A timer is due, and came so much later than that.
    pub fn wake(&mut self, timer: Timer, late: Duration) -> Vec<Effect> {
        if late >= LATE {
            self.health.worse();
        }
        match timer {
            Timer::Join => self.join(),
            Timer::Inner(timer) => self.step(|foca, effects| foca.handle_timer(timer, effects)),
        }
    }

    /// A datagram has come from a member.
    pub fn hear(&mut self, from: &Address, datagram: &[u8]) -> Vec<Effect> {
        match datagram.split_first() {
            Some((&GOSSIP, data)) => {
                let rival = self.note(data);
                let mut effects = self.step(|foca, effects| foca.handle_data(data, effects));
                effects.extend(rival.map(|datagram| Effect::Send { to: from.clone(), datagram }));
                effects
            }
            Some((&WHO, [])) => {
                let here = postcard::to_allocvec(self.me()).unwrap_or_default();
                vec![Effect::Send { to: from.clone(), datagram: framed(HERE, &here) }]
            }
            Some((&HERE, data)) => match postcard::from_bytes::<Identity>(data) {
                Ok(seed) if seed.node != self.me().node => {
                    self.step(|foca, effects| foca.announce(seed, effects))
                }
                _ => Vec::new(),
            },
            Some((&RIVAL, data)) => match postcard::from_bytes::<Identity>(data) {
                Ok(rival) if rival.node == self.me().node && rival.outranks(self.me()) => self.outbid(rival),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Tells some members that this node goes. The view is of no use afterwards.
    pub fn leave(&mut self) -> Vec<Effect> {
        self.step(|foca, effects| foca.leave_cluster(effects))
    }

    /// Asks the seeds who they are until somebody is known.
    fn join(&mut self) -> Vec<Effect> {
        let alone = self.foca.num_members() == 0;
        let (seeds, me) = (self.seeds.clone(), self.me().gossip.clone());
        let asked = seeds.into_iter().filter(|seed| alone && *seed != me);
        let ask = |to| Effect::Send { to, datagram: framed(WHO, &[]) };
        let again = Effect::Wake { after: self.config.join, timer: Timer::Join };
        asked.map(ask).chain([again]).collect()
    }

    /// Lets foca do something, and looks at what it wants to send.
    fn step(
        &mut self,
        work: impl FnOnce(
            &mut Foca<Identity, PostcardCodec, ChaCha12Rng, NoCustomBroadcast>,
            &mut Runtime,
        ) -> Result<(), foca::Error>,
    ) -> Vec<Effect> {
        let stretch = if self.config.damped { self.health.stretch() } else { 1 };
        let mut runtime = Runtime { effects: Vec::new(), stretch, undead: Vec::new() };
        if let Err(error) = work(&mut self.foca, &mut runtime) {
            // Damaged, for an earlier identity of ours, or by a namesake: nothing has changed.
            tracing::debug!(%error, "gossip not taken");
        }
        let Runtime { mut effects, undead, .. } = runtime;
        for (to, data) in undead {
            if !self.spares(&to) {
                effects.push(Effect::Send { to: to.gossip, datagram: framed(GOSSIP, &data) });
            }
        }
        if let Some(target) = effects.iter().find_map(unanswered) {
            // One that never answers is dead; several in a row say that it is this node that is not heard.
            if self.missed.as_ref().is_some_and(|before| *before != target) {
                self.health.worse();
            }
            self.missed = Some(target);
        }
        effects
    }

    /// foca 2.0.0 tells a member that it is down when a suspicion ends, also one that was refuted meanwhile: a healthy
    /// one would leave and rejoin. Who is a member is not told so.
    fn spares(&self, to: &Identity) -> bool {
        self.foca.iter_members().any(|member| member.id() == to)
    }

    /// What a datagram says about how well this node is reached; and, when its sender's name is believed to be
    /// another's, what to tell it: members do not talk to whom they believe dead.
    fn note(&mut self, data: &[u8]) -> Option<Bytes> {
        use foca::Codec;
        let header: Header<Identity> = PostcardCodec.decode_header(data).ok()?;
        match header.message {
            Message::Ack(_) | Message::ForwardedAck { .. } => {
                self.missed = None;
                self.health.better();
            }
            Message::TurnUndead => self.health.worse(),
            _ => {}
        }
        let rivals = |other: &&Identity| {
            other.node == header.src.node && other.boot != header.src.boot && other.outranks(&header.src)
        };
        let rival = self.foca.iter_membership_state().map(|member| member.id()).find(rivals)?;
        Some(framed(RIVAL, &postcard::to_allocvec(rival).ok()?))
    }

    /// Another life of this node, or another process, is believed in its stead, as after a clock that went back.
    fn outbid(&mut self, rival: Identity) -> Vec<Effect> {
        let renewed = Identity { rank: rival.rank.saturating_add(1), ..self.me().clone() };
        let mut effects = self.step(|foca, runtime| foca.change_identity(renewed.clone(), runtime));
        effects.extend([Effect::Seen(Seen::Namesake(rival)), Effect::Seen(Seen::Renewed(renewed))]);
        effects
    }
}

fn framed(kind: u8, data: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(1 + data.len());
    datagram.put_u8(kind);
    datagram.put_slice(data);
    datagram.freeze()
}

/// Whom an effect asks another member to reach, since it did not answer in time.
fn unanswered(effect: &Effect) -> Option<NodeId> {
    use foca::Codec;
    let Effect::Send { datagram, .. } = effect else { return None };
    let (&kind, data) = datagram.split_first()?;
    let header: Header<Identity> = (kind == GOSSIP).then(|| PostcardCodec.decode_header(data).ok())??;
    match header.message {
        Message::PingReq { target, .. } => Some(target.node),
        _ => None,
    }
}

/// Gathers what foca wants.
struct Runtime {
    effects: Vec<Effect>,
    stretch: u32,
    /// To whom it would say that they are down.
    undead: Vec<(Identity, Bytes)>,
}

impl foca::Runtime<Identity> for Runtime {
    fn notify(&mut self, notification: Notification<'_, Identity>) {
        let seen = match notification {
            Notification::MemberUp(member) => Seen::Up(member.clone()),
            Notification::MemberDown(member) => Seen::Down(member.clone()),
            // Also of a member in another life, which is as much as a death and a birth.
            Notification::Rename(before, after) if before.boot != after.boot => {
                self.effects.push(Effect::Seen(Seen::Down(before.clone())));
                Seen::Up(after.clone())
            }
            Notification::Rejoin(me) => Seen::Renewed(me.clone()),
            _ => return,
        };
        self.effects.push(Effect::Seen(seen));
    }

    fn send_to(&mut self, to: Identity, data: &[u8]) {
        use foca::Codec;
        let header: Result<Header<Identity>, _> = PostcardCodec.decode_header(data);
        if header.is_ok_and(|header| header.message == Message::TurnUndead) {
            return self.undead.push((to, Bytes::copy_from_slice(data)));
        }
        self.effects.push(Effect::Send { to: to.gossip, datagram: framed(GOSSIP, data) });
    }

    fn submit_after(&mut self, timer: foca::Timer<Identity>, after: Duration) {
        use foca::Timer as Inner;
        let stretched = matches!(
            timer,
            Inner::ProbeRandomMember(_) | Inner::SendIndirectProbe { .. } | Inner::ChangeSuspectToDown { .. }
        );
        let after = if stretched { after * self.stretch } else { after };
        self.effects.push(Effect::Wake { after, timer: Timer::Inner(timer) });
    }
}

#[cfg(test)]
mod tests;
