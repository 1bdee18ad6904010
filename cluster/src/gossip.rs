//! Gossip: runs a node's part in membership ([`crate::swim`]) over sealed datagrams, and shows its view.
//!
//! Owns: the view, the timers, the seal.
//! Promises: whoever watches is shown each state of the view that lasts, in order.
//! May lose: datagrams, and states of the view that nobody looked at in time.
//! Never does: wait for a watcher.

use crate::{
    host::Host,
    node::{BootId, NodeId},
    swim::{
        Address, Effect, Identity, Seen, Swim, Timer,
        seal::{Key, Seal, SealError},
    },
};
use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// How long the protocol is left alone at most: it always has a timer under way, this is only a bound.
const REST_MAX: Duration = Duration::from_secs(1);

/// Datagrams to and from other nodes. UDP in `cells`, the simulated network in `simulations`.
pub trait Datagrams: Send + Sync + 'static {
    /// Sends; never waits, may be lost without a word.
    fn send(&self, to: &Address, datagram: Vec<u8>);
    /// The next one, and where it came from; `None` when there will be none any more. One task calls it.
    fn next(&self) -> BoxFuture<'_, Option<(Address, Bytes)>>;
}

/// A member as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Who, in which life.
    pub identity: Identity,
    /// Somebody could not reach it, and it has not spoken up yet.
    pub is_suspected: bool,
}

/// Who is there, this node included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// This node as others know it.
    pub me: Identity,
    /// All others that are not down.
    pub members: BTreeMap<NodeId, Seat>,
    /// How slow this node takes itself to be.
    pub health: u32,
    /// How often members believed its name to be another life's.
    pub rivals: u64,
    /// That other life, as it was believed last.
    pub rival: Option<Identity>,
}

impl View {
    fn of(swim: &Swim, rivals: u64, rival: Option<Identity>) -> Self {
        let seat = |(identity, is_suspected): (&Identity, bool)| {
            (identity.node.clone(), Seat { identity: identity.clone(), is_suspected })
        };
        let members = swim.members().map(seat).collect();
        Self { me: swim.me().clone(), members, health: swim.health(), rivals, rival }
    }
    /// The life of a member that is there.
    pub fn life(&self, node: &NodeId) -> Option<BootId> {
        self.members.get(node).map(|seat| seat.identity.boot)
    }
}

/// A running part in membership. Cheap to clone.
#[derive(Clone)]
pub struct Gossip {
    view: watch::Receiver<Arc<View>>,
    ends: Arc<Ends>,
}

/// How a node's part ends.
#[derive(Default)]
struct Ends {
    told: Notify,
    without_goodbye: AtomicBool,
}

impl Gossip {
    /// Starts to take part.
    pub fn start(host: &Host, swim: Swim, keys: &[Key], datagrams: Arc<dyn Datagrams>) -> Self {
        let (shown, view) = watch::channel(Arc::new(View::of(&swim, 0, None)));
        let seal = Seal::new(keys, swim.me().boot);
        let (alarms, ends) = (BTreeMap::new(), Arc::<Ends>::default());
        let part = Part {
            host: host.clone(),
            swim,
            seal,
            datagrams,
            shown,
            alarms,
            set: 0,
            rivals: 0,
            rival: None,
            printed: (0, 0),
            ends: ends.clone(),
        };
        host.spawn("gossip", part.run());
        Self { view, ends }
    }
    /// The view now.
    pub fn view(&self) -> Arc<View> {
        self.view.borrow().clone()
    }
    /// Completes when the view is another than the one that was looked at last by this handle; false when the node's
    /// part is over.
    pub async fn changed(&mut self) -> bool {
        self.view.changed().await.is_ok()
    }
    /// Tells some members that this node goes, and takes part no more.
    pub fn leave(&self) {
        self.ends.told.notify_one();
    }
    /// Takes part no more, and tells nobody: the name is another's.
    pub fn quit(&self) {
        self.ends.without_goodbye.store(true, Relaxed);
        self.leave();
    }
}

/// A node's part.
struct Part {
    host: Host,
    swim: Swim,
    seal: Seal,
    datagrams: Arc<dyn Datagrams>,
    shown: watch::Sender<Arc<View>>,
    /// By due time, and in the order in which they were set.
    alarms: BTreeMap<(Duration, u64), Timer>,
    set: u64,
    rivals: u64,
    rival: Option<Identity>,
    /// Of the view that was shown last.
    printed: (u64, u64),
    ends: Arc<Ends>,
}

impl Part {
    async fn run(mut self) {
        let start = self.swim.start();
        self.carry_out(start);
        let (datagrams, ends) = (self.datagrams.clone(), self.ends.clone());
        let mut left = pin!(ends.told.notified());
        loop {
            let now = self.host.monotonic();
            let rest = self.alarms.keys().next().map_or(REST_MAX, |(due, _)| due.saturating_sub(now));
            let mut rest = pin!(self.host.sleep(rest));
            let heard = select(datagrams.next(), rest.as_mut());
            let effects = match select(heard, left.as_mut()).await {
                Either::Left((Either::Left((None, _)), _)) => return,
                Either::Left((Either::Left((Some((from, sealed)), _)), _)) => self.hear(&from, &sealed),
                Either::Left((Either::Right(_), _)) => Vec::new(),
                Either::Right(_) if ends.without_goodbye.load(Relaxed) => return,
                Either::Right(_) => {
                    let goodbye = self.swim.leave();
                    return self.carry_out(goodbye);
                }
            };
            self.carry_out(effects);
            self.ring();
            self.show();
        }
    }

    fn hear(&mut self, from: &Address, sealed: &[u8]) -> Vec<Effect> {
        match self.seal.open(sealed) {
            Ok(datagram) => self.swim.hear(from, &datagram),
            Err(error) => {
                refused(error);
                Vec::new()
            }
        }
    }

    /// Hands back the timers that are due.
    fn ring(&mut self) {
        let now = self.host.monotonic();
        while let Some(alarm) = self.alarms.first_entry()
            && alarm.key().0 <= now
        {
            let ((due, _), timer) = alarm.remove_entry();
            let effects = self.swim.wake(timer, now - due);
            self.carry_out(effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { to, datagram } => {
                    let sealed = self.seal.seal(&datagram);
                    metrics::counter!("waggle_gossip_sent_bytes_total").increment(sealed.len() as u64);
                    self.datagrams.send(&to, sealed);
                }
                Effect::Wake { after, timer } => {
                    self.set += 1;
                    self.alarms.insert((self.host.monotonic() + after, self.set), timer);
                }
                Effect::Seen(seen) => {
                    told(&seen);
                    if let Seen::Namesake(rival) = seen {
                        self.rivals += 1;
                        self.rival = Some(rival);
                    }
                }
            }
        }
    }

    /// Shows the view if it is another one than before: each datagram may change it, and few do.
    fn show(&mut self) {
        let print = (self.swim.fingerprint(), self.rivals);
        if std::mem::replace(&mut self.printed, print) == print {
            return;
        }
        let view = View::of(&self.swim, self.rivals, self.rival.clone());
        self.shown.send_if_modified(|shown| {
            let is_new = **shown != view;
            if is_new {
                *shown = Arc::new(view);
            }
            is_new
        });
    }
}

fn refused(error: SealError) {
    metrics::counter!("waggle_gossip_refused_total", "reason" => error.word()).increment(1);
    tracing::debug!(%error, "datagram not taken");
}

fn told(seen: &Seen) {
    match seen {
        Seen::Up(member) => tracing::info!(node = %member.node, boot = %member.boot, "member up"),
        Seen::Down(member) => tracing::info!(node = %member.node, boot = %member.boot, "member down"),
        Seen::Renewed(me) => tracing::info!(rank = me.rank, "taken for dead; back in the same life"),
        Seen::Namesake(other) => {
            metrics::counter!("waggle_gossip_namesakes_total").increment(1);
            let (node, boot) = (&other.node, other.boot);
            tracing::warn!(%node, %boot, "members believed this name to be that life's: one process a name");
        }
    }
}
