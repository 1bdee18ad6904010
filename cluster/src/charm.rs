//! CHARM, the consistent hash ring manager of a node: looks who is there, decides which slots this node is to take, and
//! takes them.
//!
//! Owns: what this node and its peers see of each other.
//! Promises: a slot whose owner is gone is taken by its successor, once two nodes of a majority agree (F1); a node that
//! leaves hands its slots over (F2) and takes none, one that is back is given those that the ring has for it; one that
//! is up but not fit says so, and loses its slots with its consent; whoever learns of a change tells all others.
//! May lose: news; the next look, or a refused claim, brings them.
//! Never does: take a slot from a node whose link is up and that does not yield, or touch what a channel is.

mod balance;
mod fitness;
mod known;
mod rows;
pub mod sight;

use crate::{
    claimant::{CLAIMS_PER_CALL, CellView, plan, plan_of_leaving},
    claims::{Claim, ClaimOutcome, Claims},
    fence::ClaimDenied,
    gossip::Gossip,
    host::Host,
    link::{
        Class,
        roles::{Role, Roles},
    },
    node::{BootId, Node, NodeId},
    placement::Door,
    router::Router,
    slots::Slot,
    switchboard::Switchboard,
    table::{Owner, SlotTable},
};
use arc_swap::ArcSwap;
use balance::Balance;
use fitness::{Ailment, Around, Fitness};
use futures::future::{Either, select};
use known::Known;
use rows::{Rows, Way};
use sight::{CELL, Said, Sight, Sights};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How often a node looks.
pub const LOOK: Duration = Duration::from_millis(100);
/// A member that this node has not seen since it started is gone after this long: it may be starting, too.
pub const GRACE: Duration = Duration::from_secs(5);
/// Unless others have seen it, and say that it is gone. By now a node that starts has links to most that are there.
const LINKED_WITHIN: Duration = Duration::from_secs(1);
/// What is seen is told again this often, for those who missed it.
const TOLD_AGAIN: Duration = Duration::from_secs(1);
/// Slots of one notice.
const NEWS_SLOTS_MAX: usize = 512;
/// Slots that a node hands over at a time: their channels are loaded elsewhere before the next ones follow.
const HANDED_AT_ONCE: usize = 64;

/// The manager of one node.
pub struct Charm {
    host: Host,
    me: Arc<Node>,
    /// Configured members of the cell, this node included.
    members: BTreeSet<NodeId>,
    claims: Arc<dyn Claims>,
    routes: Router,
    gossip: Gossip,
    board: Switchboard,
    sights: Sights,
    started: Duration,
    told: Told,
    /// To the store.
    way: Way,
    /// The cell at the last look.
    shown: Arc<ArcSwap<CellView>>,
    asked: mpsc::Receiver<oneshot::Sender<Left>>,
    departure: Departure,
    is_leaving: bool,
    balance: Balance,
    known: Known,
    quiet: Option<Quiet>,
    fitness: Fitness,
    /// Peers to which there was a link since the start.
    met: BTreeSet<NodeId>,
    /// Those that were seen to keep the store.
    stores: BTreeSet<NodeId>,
    door: Door,
}

/// A table and a cell in which nothing is to be repaired: as long as both stay so nothing is decided again.
struct Quiet {
    table: Arc<SlotTable>,
    cell: Arc<CellView>,
}

/// The cell as a manager has seen it last. Cheap to clone.
#[derive(Clone)]
pub struct Shown(Arc<ArcSwap<CellView>>);

impl Shown {
    /// The last look.
    pub fn now(&self) -> Arc<CellView> {
        self.0.load_full()
    }
}

/// What a node that leaves has not handed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// Slots that it still owns.
    pub slots: usize,
    /// Whether another node is up that would take them: then it is worth another try.
    pub has_taker: bool,
}

/// The way to tell a manager that its node leaves. Cheap to clone.
#[derive(Clone)]
pub struct Departure(mpsc::Sender<oneshot::Sender<Left>>);

impl Departure {
    /// Hands the node's slots over; may be asked again for those that are left, for want of a link or of the store.
    pub async fn depart(&self) -> Left {
        let (answer, left) = oneshot::channel();
        match self.0.send(answer).await {
            Ok(()) => left.await.unwrap_or_default(),
            Err(_) => Left::default(), // the manager ended with its machine
        }
    }
}

/// What was told last, and when.
#[derive(Default)]
struct Told {
    sight: Sight,
    at: Duration,
    /// Links that had come up when all peers were told the own slots.
    ups: u64,
}

/// What a manager is made of.
pub struct CharmArgs {
    /// Time and tasks.
    pub host: Host,
    /// This life of this node.
    pub me: Arc<Node>,
    /// Configured members of the cell, this node included.
    pub members: BTreeSet<NodeId>,
    /// The rows.
    pub claims: Arc<dyn Claims>,
    /// What this node believes of them.
    pub routes: Router,
    /// Who is there.
    pub gossip: Gossip,
    /// The way to peers.
    pub board: Switchboard,
    /// Where users reach this node alone.
    pub door: Door,
}

impl Charm {
    /// A manager; what it is told by peers comes through the service that [`Self::sights`] answers.
    pub fn new(args: CharmArgs) -> Self {
        let CharmArgs { host, me, members, claims, routes, gossip, board, door } = args;
        let (sights, started) = (Sights::new(routes.clone()), host.monotonic());
        let (told, way, (departs, asked)) = (Told::default(), Way::default(), mpsc::channel(1));
        let (departure, is_leaving) = (Departure(departs), false);
        let cell = CellView::starting(members.clone());
        let (known, shown) = (Known::new(&cell), Arc::new(ArcSwap::from_pointee(cell)));
        Self {
            host,
            me,
            members,
            claims,
            routes,
            gossip,
            board,
            sights,
            started,
            told,
            way,
            shown,
            asked,
            departure,
            is_leaving,
            balance: Balance::default(),
            known,
            quiet: None,
            fitness: Fitness::default(),
            met: BTreeSet::new(),
            stores: BTreeSet::new(),
            door,
        }
    }

    /// The cell as it is seen at each look.
    pub fn shown(&self) -> Shown {
        Shown(self.shown.clone())
    }

    /// The way to tell it that its node leaves.
    pub fn departure(&self) -> Departure {
        self.departure.clone()
    }

    /// What peers see: the service behind [`CELL`].
    pub fn sights(&self) -> Sights {
        self.sights.clone()
    }

    /// Looks, decides and acts, for ever.
    pub async fn run(mut self) {
        let (host, claims, routes, way) =
            (self.host.clone(), self.claims.clone(), self.routes.clone(), self.way.clone());
        self.host.spawn("slot rows", Rows { host, claims, routes, way }.run());
        loop {
            let due = self.host.monotonic() + LOOK;
            let asked = match select(pin!(self.asked.recv()), pin!(self.host.sleep(LOOK))).await {
                Either::Left((asked, _)) => asked,
                Either::Right(_) => None,
            };
            self.is_leaving |= asked.is_some();
            let loop_lag = self.host.monotonic().saturating_sub(due);
            self.learn();
            let (cell, sight) = self.look(loop_lag);
            let cell = Arc::new(cell);
            self.known.places(&cell);
            self.shown.store(cell.clone());
            self.tell(sight);
            match self.is_leaving {
                true => self.hand_over(&cell).await,
                false => {
                    self.repair(&cell).await;
                    self.level(&cell).await;
                }
            }
            if let Some(asked) = asked {
                let left = Left { slots: self.own().len(), has_taker: cell.has_taker(&self.me) };
                let _ = asked.send(left); // who asked may have lost patience
            }
        }
    }

    /// Works out what follows from the table, where that is another one than at the last look.
    fn learn(&mut self) {
        if self.known.learn(self.routes.table().now().clone()) {
            self.balance.owns(self.own().into_iter(), self.host.monotonic());
        }
    }

    /// The cell as this node sees it, and what it tells peers of that.
    fn look(&mut self, loop_lag: Duration) -> (CellView, Sight) {
        let view = self.gossip.view();
        let links = self.board.peers();
        let said_by = |roles| {
            let mut said = self.sights.said_by(roles);
            said.retain(|speaker, _| links.contains_key(speaker));
            said
        };
        // Of a node that can own no slots what it says of itself is of use, and little of what it says of others.
        let (said, by_all) = (said_by(Roles::of(&[Role::Channels])), said_by(Roles::ALL));
        let by_gateways = said_by(Roles::of(&[Role::Gateway]));
        self.met.extend(links.keys().cloned());
        let up_for = self.host.monotonic().saturating_sub(self.started);
        let agrees = |node: &NodeId| said.values().any(|sight| sight.gone.contains(node));
        let is_missed = |node: &NodeId| said.values().any(|sight| sight.missed.contains(node));
        let others = self.known.owners().chain(&self.members);
        let is_gone = |node: &&NodeId| {
            let suspected = view.members.get(*node).is_none_or(|seat| seat.is_suspected);
            let grace = if is_missed(node) { LINKED_WITHIN } else { GRACE };
            let may_be_starting = up_for < grace && !self.met.contains(*node);
            **node != self.me.id && !links.contains_key(*node) && suspected && !may_be_starting
        };
        let gone: BTreeSet<NodeId> = others.filter(is_gone).cloned().collect();
        let gone = gone.into_iter().map(|node| (node.clone(), agrees(&node))).collect();
        let leaving = by_all.iter().filter(|(_, sight)| sight.is_leaving).map(|(node, _)| node.clone());
        let leaving = leaving.chain(self.is_leaving.then(|| self.me.id.clone())).collect();
        let store_takes = self.way.takes();
        let ailment = self.ailment((loop_lag, store_takes), &links, (&said, &by_gateways));
        let ailing = fitness::ailing(ailment.as_ref().map(|ailment| (&self.me.id, ailment)), &by_all);
        let mut cell =
            CellView { lives: links, gone, leaving, loop_lag, ..CellView::starting(self.members.clone()) };
        cell.gray = cell.gray_of(fitness::ailing_anywhere(
            (&self.me.id, &cell.lives),
            ailing.clone(),
            (&said, &by_all),
        ));
        let gateway = self.door.url();
        let others = by_gateways.iter().map(|(peer, sight)| (peer, &sight.gateway));
        // Where gateways have no addresses of their own nobody can tell which doors are open.
        let takes_users =
            |(peer, url): (&NodeId, &Arc<str>)| cell.is_fit(peer) && (gateway.is_empty() || !url.is_empty());
        cell.is_cut_off = cell.gray.contains_key(&self.me.id)
            && matches!(ailment, Some(Ailment::CutOff(_)))
            && others.clone().any(takes_users);
        let homes = others.chain([(&self.me.id, &gateway)]);
        let homes = homes.filter(|(node, url)| !url.is_empty() && cell.is_fit(node));
        cell.gateways = homes.map(|(node, url)| (node.clone(), url.clone())).collect();
        let gone: BTreeSet<NodeId> = cell.gone.keys().cloned().collect();
        let reaches = cell.lives.keys().cloned().collect();
        let missed = self.met.intersection(&gone).cloned().collect();
        let is_leaving = self.is_leaving;
        (cell, Sight { gone, missed, is_leaving, ailing, reaches, gateway, store_takes })
    }

    /// What makes this node serve badly. `said`: by peers that may own slots, and by those that take users.
    fn ailment(
        &mut self,
        (loop_lag, store_takes): (Duration, Option<Duration>),
        links: &BTreeMap<NodeId, BootId>,
        (said, by_gateways): (&Said, &Said),
    ) -> Option<Ailment> {
        let keeps = |peer: &&NodeId| self.board.roles(peer).has(Role::Store);
        self.stores.extend(links.keys().filter(keeps).cloned());
        let (me, members, stores) = (&self.me.id, &self.members, &self.stores);
        let around = Around { me, members, stores, links, store_takes, said, by_gateways };
        self.fitness.look(self.host.monotonic(), loop_lag, &around).cloned()
    }

    /// What this node owns, as far as is known.
    fn own(&self) -> BTreeMap<Slot, Owner> {
        let table = self.routes.table().now();
        table.owned_by(&self.me).filter_map(|(slot, _)| Some((slot, table.owner(slot)?.clone()))).collect()
    }

    /// Tells all peers what this node sees.
    fn tell(&mut self, sight: Sight) {
        let now = self.host.monotonic();
        let is_known = sight == self.told.sight && self.board.ups() == self.told.ups;
        if is_known && now.saturating_sub(self.told.at) < TOLD_AGAIN {
            return;
        }
        self.tell_all(sight.notice());
        let ups = self.board.ups();
        if ups != self.told.ups && !crate::planted!(NewsOfSlotsKept) {
            // Whoever was cut off has missed which slots were taken from it.
            let own: Vec<(Slot, Owner)> = self.own().into_iter().collect();
            own.chunks(NEWS_SLOTS_MAX).for_each(|some| self.tell_all(sight::slots(some)));
        }
        self.told = Told { sight, at: now, ups };
    }

    fn tell_all(&self, notice: bytes::Bytes) {
        for peer in self.board.peers().keys() {
            // A link that is going is told to whoever hears of links; the next look tells again.
            let _ = self.board.notify(peer, Class::Urgent, CELL, notice.clone());
        }
    }

    /// Takes what F1 lets this node take.
    async fn repair(&mut self, cell: &Arc<CellView>) {
        let table = self.routes.table().now().clone();
        let as_before = |quiet: &Quiet| Arc::ptr_eq(&quiet.table, &table) && quiet.cell.says_as(cell);
        if self.quiet.as_ref().is_some_and(as_before) {
            return;
        }
        let rows = Slot::all().filter_map(|slot| Some((slot, table.owner(slot)?.clone()))).collect();
        let mut wanted = plan(&rows, &self.me, cell, self.known.ring());
        if let Some((slot, denied)) = wanted.denied.iter().find(|(_, denied)| is_worth_a_word(denied)) {
            tracing::debug!(%slot, %denied, "slot of a node that is gone is left");
        }
        // Whoever runs late may be in time at the next look, with the same before it.
        let is_late = wanted.denied.iter().any(|(_, denied)| matches!(denied, ClaimDenied::LoopLag { .. }));
        wanted.yielded.truncate(HANDED_AT_ONCE);
        let mut claims = wanted.claims.into_iter().chain(wanted.yielded).peekable();
        let is_quiet = claims.peek().is_none() && !is_late;
        self.quiet = is_quiet.then(|| Quiet { table, cell: cell.clone() });
        while claims.peek().is_some() {
            let slots = self.claim(claims.by_ref().take(CLAIMS_PER_CALL).collect()).await;
            if slots > 0 {
                tracing::info!(slots, "slots have changed hands");
            }
        }
    }

    /// Gives some of what this node owns to the nodes that the ring has for it, if it is time for that.
    async fn level(&mut self, cell: &CellView) {
        self.learn();
        let (me, now) = (self.me.clone(), self.host.monotonic());
        let mut moves = self.balance.moves(&me, (cell, self.known.ring()), now);
        if crate::planted!(SlotsNeverRest) {
            moves = plan_of_leaving(&self.own(), &me, cell);
            moves.truncate(HANDED_AT_ONCE);
        }
        if !moves.is_empty() {
            let slots = self.claim(moves).await;
            tracing::debug!(slots, "slots given to whom the ring has for them");
        }
    }

    /// Gives what this node owns to those that will own it without it.
    async fn hand_over(&self, cell: &CellView) {
        let mut moves = plan_of_leaving(&self.own(), &self.me, cell).into_iter().peekable();
        while moves.peek().is_some() {
            self.claim(moves.by_ref().take(HANDED_AT_ONCE).collect()).await;
        }
    }

    /// Makes claims and tells all peers what is in the rows then; how many of them were news here.
    async fn claim(&self, claims: Vec<Claim>) -> usize {
        let asked = claims.clone();
        let outcomes = match self.claims.claim(claims).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                // What was applied all the same is found by the next try: its epoch is another then.
                tracing::warn!(%error, "claims not settled");
                return 0;
            }
        };
        let mut news = Vec::with_capacity(outcomes.len());
        for (claim, outcome) in asked.into_iter().zip(outcomes) {
            let row = match outcome {
                ClaimOutcome::Applied => claim.to,
                ClaimOutcome::Refused(row) => row,
            };
            match Owner::of_row(claim.slot, &row) {
                Ok(owner) => news.extend(owner.map(|owner| (claim.slot, owner))),
                Err(error) => tracing::error!(%error, "row of a slot cannot be read"),
            }
        }
        let changed = self.routes.table().apply(&news).len();
        if changed > 0 && !crate::planted!(NewsOfSlotsKept) {
            news.chunks(NEWS_SLOTS_MAX).for_each(|some| self.tell_all(sight::slots(some)));
        }
        changed
    }
}

/// Why a slot of a node that is gone is not taken, when that is no everyday reason.
fn is_worth_a_word(denied: &ClaimDenied) -> bool {
    matches!(
        denied,
        ClaimDenied::OneObserver { .. } | ClaimDenied::Minority { .. } | ClaimDenied::LoopLag { .. }
    )
}

#[cfg(test)]
mod tests;
