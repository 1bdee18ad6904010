//! People and bots of a simulated world: they stand outside of the product and speak to it over streams.

pub mod native;
pub mod web;

use crate::{
    oracle::Oracle,
    world::{World, machine::MachineId, report::Violation},
};
use cluster::host::Host;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Port on which nodes serve people.
pub const PORT: u16 = 80;
/// How long a client waits for an answer before it connects again.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Pause before connecting again.
pub const RECONNECT: Duration = Duration::from_secs(1);

/// Who a client is, where it stands, and what it does.
#[derive(Clone)]
pub struct Person {
    /// The world it lives in.
    pub world: World,
    /// Its machine.
    pub me: MachineId,
    /// Time and chance of its machine.
    pub host: Host,
    /// The node that serves its workspace.
    pub server: MachineId,
    /// Name under which the oracle knows it.
    pub name: String,
    /// Its user.
    pub user: String,
    /// Its token.
    pub token: String,
    /// Conversations that it posts to.
    pub channels: Vec<String>,
    /// Longest pause between two posts.
    pub think: Duration,
    /// Who watches.
    pub oracle: Oracle,
    /// Set at the end: no new posts.
    pub quiet: Arc<AtomicBool>,
}

impl Person {
    /// Whether it is time to be quiet.
    fn is_quiet(&self) -> bool {
        self.quiet.load(Ordering::Relaxed)
    }
    /// How long to think before the next post.
    fn pause(&self) -> Duration {
        let most = u64::try_from(self.think.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(1 + self.host.entropy().below(most))
    }
    /// One of its conversations.
    fn somewhere(&self) -> String {
        self.channels[self.host.entropy().below(self.channels.len() as u64) as usize].clone()
    }
    /// A fresh idempotency key: UUIDv7 (RFC 9562, section 5.7) by the client's own clock.
    fn key(&self) -> String {
        let ms = self.host.now_us() / 1000;
        let random = [(); 2].map(|()| self.host.entropy().next_u64());
        let (a, b, c) = (ms >> 16, ms & 0xffff, random[0] & 0xfff);
        let (d, e) = (0x8000 | (random[0] >> 50), random[1] & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-7{c:03x}-{d:04x}-{e:012x}")
    }
    /// Something to say.
    fn text(&self) -> String {
        let chance = self.host.entropy();
        let words = 1 + chance.below(if chance.chance(1, 50) { 400 } else { 12 });
        (0..words).map(|_| format!("{:x} ", chance.below(1 << 24))).collect()
    }
    /// Tells the world of a broken promise.
    fn judge(&self, verdict: Result<(), Violation>) {
        if let Err(violation) = verdict {
            self.world.violate(violation);
        }
    }
}
