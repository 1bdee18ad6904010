//! One state of the model and what its parts do in it: how an owner takes a message, learns, settles and
//! steps down.

use super::config::Config;
use super::owner::{Claim, Duty, Known, Move, Owner};
use super::relay::{Relay, seqs};
use super::store::{Batch, Landing, SEQS, Slot, Store, bucket_of, is_boundary};
use super::variants::Variant;
use super::view::View;

/// Messages that a run can have.
pub const KEYS: usize = 4;
/// Requests of owners that are gone, which the model keeps in flight at once.
pub const STRAYS: usize = 6;
/// The nodes' clocks, far apart and never set right.
const NOW_US: [u8; 2] = [5, 1];
/// How far above a seen epoch the model lets a slot be raised.
const RAISE_MAX: u8 = 5;

/// A report of the log's tail, as a gateway has it: a (seq, ts) pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// Highest seq delivered to the gateway.
    pub tail: u8,
    /// Its `us`; 0 when a beacon named the seq alone.
    pub us: u8,
}

/// A client's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Message {
    /// Times it was sent.
    pub sent: u8,
    /// The first attempt, while it lies around, with the report that its gateway had when it sent it.
    pub mail: Option<Report>,
    /// Bucket that was open at the time in its key: the channel's own progress serves as the clock.
    pub minted: u8,
    /// Seq that an ack named; 0 is none.
    pub acked: u8,
}

/// Everything at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What is durable.
    pub store: Store,
    /// The two nodes.
    pub owners: [Owner; 2],
    /// Requests whose senders are gone, sorted: each may land at any time, more than once.
    pub strays: [Option<Batch>; STRAYS],
    /// The clients' messages.
    pub messages: [Message; KEYS],
    /// The gateway.
    pub relay: Relay,
    /// The view.
    pub view: View,
    /// Witness against the model itself: a request or a row found no room in it.
    pub is_cramped: bool,
}

impl World {
    /// Node 0 owns the channel's slot and knows nothing of its log yet, which is empty.
    pub fn new(config: &Config) -> Self {
        let mut owners = [Owner::new(); 2];
        owners[0].claim = Some(Claim { slot: 0, epoch: config.epoch_first });
        Self {
            store: Store::new(config.epoch_first),
            owners,
            strays: [None; STRAYS],
            messages: [Message::default(); KEYS],
            relay: Relay::default(),
            view: View::default(),
            is_cramped: false,
        }
    }

    /// The report that a gateway which has everything delivered so far would give along with `key`: every
    /// second key's gateway knows the tail from a beacon, without its time.
    pub fn report(&self, key: u8) -> Report {
        let us = self.store.head().map_or(0, |head| head.last_us);
        Report { tail: self.store.tail(), us: if key.is_multiple_of(2) { 0 } else { us } }
    }

    /// The slot row of the channel's home.
    pub fn home_slot(&mut self) -> &mut Slot {
        &mut self.store.slots[usize::from(self.store.home)]
    }

    /// Whether the claim of `node` is what the slot row says, and the channel still lives in that slot.
    pub fn is_verified(&self, node: usize, variant: Variant) -> bool {
        self.owners[node].claim.is_some_and(|claim| {
            self.store.slots[usize::from(claim.slot)] == Slot { epoch: claim.epoch, owner: node as u8 }
                && (claim.slot == self.store.home || variant == Variant::RaiseUnhomed)
        })
    }

    /// The owner takes a message, or two. `report` comes with a first attempt. `None`: it has to load the log
    /// first.
    pub fn take(
        &mut self,
        config: &Config,
        node: usize,
        keys: [u8; 2],
        report: Option<Report>,
    ) -> Option<()> {
        let rows = config.bucket_rows;
        let may_guess = |report: &Report| {
            config.guess && (!is_boundary(report.tail, rows) || config.variant == Variant::OpenOnReport)
        };
        match (self.owners[node].known, report) {
            // The keys of all rows since the message was sent are in hand: it cannot be among the older ones.
            (Some(known), Some(report))
                if report.tail >= known.base || config.variant == Variant::FirstNeedsNoWindow =>
            {
                self.build(config, node, &known, keys, false)
            }
            (Some(known), _) if !known.is_blind(rows) => self.build(config, node, &known, keys, true),
            (None, Some(report)) if may_guess(&report) => {
                let known = Known::reported(report.tail, report.us);
                self.build(config, node, &known, keys, false)
            }
            _ => None,
        }
    }

    /// Acks what is in the log already and sends the rest as one batch. A bucket is opened only on what the
    /// store itself said in this epoch, so a guess or a copy that ends at a boundary is read again first.
    fn build(
        &mut self,
        config: &Config,
        node: usize,
        known: &Known,
        keys: [u8; 2],
        mut closed_too: bool,
    ) -> Option<()> {
        let mut known = *known;
        if is_boundary(known.tail, config.bucket_rows)
            && !known.read
            && config.variant != Variant::OpenOnReport
        {
            if !self.load(config, node) {
                return Some(());
            }
            known = self.owners[node].known?;
            closed_too = true;
        }
        let mut fresh = keys.into_iter().filter(|key| *key != 0).filter(|key| {
            let found = self.look_up(config, &known, *key, closed_too);
            if let Some(seq) = found {
                self.messages[usize::from(*key) - 1].acked = seq;
            }
            found.is_none()
        });
        let (Some(key), second) = (fresh.next(), fresh.next()) else {
            return Some(());
        };
        let mut second = second.unwrap_or(0);
        if usize::from(known.tail) >= SEQS {
            self.is_cramped = true;
            return Some(());
        }
        if is_boundary(known.tail + 1, config.bucket_rows) {
            self.owners[node].rest = second;
            second = 0;
        }
        let batch = Batch {
            owner: node as u8,
            epoch: self.owners[node].epoch(),
            first: known.tail + 1,
            us: NOW_US[node].max(known.last_us + 1),
            keys: [key, second],
            opens: is_boundary(known.tail, config.bucket_rows),
        };
        if config.variant == Variant::FanOutEarly {
            self.fan_out(node, known.tail, batch.last());
        }
        self.owners[node].duty = Duty::Waiting(batch);
        Some(())
    }

    /// Finds a key among the rows in hand and, for a retry, in the closed buckets from the key's own time on.
    fn look_up(&self, config: &Config, known: &Known, key: u8, closed_too: bool) -> Option<u8> {
        let minted = usize::from(self.messages[usize::from(key) - 1].minted);
        let is_searched = |seq: u8| match config.variant {
            Variant::ForgetOld => false,
            Variant::LookUpOneBucket => bucket_of(seq, config.bucket_rows) == minted,
            Variant::TrustKeyTime => bucket_of(seq, config.bucket_rows) >= minted,
            _ => bucket_of(seq, config.bucket_rows) + usize::from(config.skew) >= minted,
        };
        let in_closed = || {
            let seq = self.store.find(key, 0).filter(|seq| *seq <= known.base)?;
            is_searched(seq).then_some(seq)
        };
        known.find(key).or_else(|| if closed_too { in_closed() } else { None })
    }

    /// A serial read of head and window (F4). False when it told the node to step down.
    pub fn load(&mut self, config: &Config, node: usize) -> bool {
        let seen = self.store.head().map_or(0, |head| head.epoch);
        if seen > self.owners[node].epoch() && !self.raise(config, node, seen) {
            self.step_down(config, node);
            return false;
        }
        let before = self.owners[node].known.map(|known| known.tail);
        let known = Known::load(&self.store, config.bucket_rows);
        self.owners[node].known = Some(known);
        if let Some(tail) = before
            && config.variant != Variant::FanOutOwnOnly
        {
            self.fan_out(node, tail, known.tail);
        }
        true
    }

    /// F4's middle case: the claim is good, the channel came from a slot that counted higher.
    fn raise(&mut self, config: &Config, node: usize, seen: u8) -> bool {
        let may = self.is_verified(node, config.variant) && config.variant != Variant::StepDownOnHigher;
        let Some(claim) = self.owners[node].claim.as_mut().filter(|_| may && seen < RAISE_MAX) else {
            return false;
        };
        claim.epoch = seen + 1;
        self.store.slots[usize::from(claim.slot)].epoch = seen + 1;
        true
    }

    /// The node gives up its claim, or dies: what it sent stays on its way.
    pub fn step_down(&mut self, config: &Config, node: usize) {
        let owner = self.owners[node];
        if let Some(batch) = owner.unsettled() {
            self.stray(config, batch);
        }
        let moving = if owner.moving == Move::No { Move::No } else { Move::Late };
        self.owners[node] = Owner { past: owner.epoch(), moving, ..Owner::new() };
        if self.relay.at == Some(node as u8) {
            self.relay.disconnect();
        }
        if self.relay.joining == Some(node as u8) {
            self.relay.joining = None;
        }
    }

    /// Remembers a request that nobody waits for any more.
    pub fn stray(&mut self, config: &Config, batch: Batch) {
        let is_known = self.strays.contains(&Some(batch));
        if is_known || self.store.is_dead(&batch, config.bucket_rows, config.variant) {
            return;
        }
        match self.strays.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(batch),
            None => self.is_cramped = true,
        }
        self.strays.sort_unstable();
    }

    /// Forgets requests that can no longer be applied: worlds that differ only in those are the same.
    pub fn forget_the_dead(&mut self, config: &Config) {
        for place in &mut self.strays {
            let store = &self.store;
            *place = place.filter(|batch| !store.is_dead(batch, config.bucket_rows, config.variant));
        }
        self.strays.sort_unstable();
    }

    /// The batch under way is known applied, its first row at `first`: ack, fan out (F3).
    pub fn settle_applied(&mut self, config: &Config, node: usize, batch: &Batch, first: u8) {
        for (offset, (_, row)) in batch.rows().enumerate() {
            self.messages[usize::from(row.key) - 1].acked = first + offset as u8;
        }
        let known = Known::extend(self.owners[node].known, batch, first, config.bucket_rows);
        self.owners[node].known = Some(known);
        self.owners[node].duty = Duty::Idle;
        self.fan_out(node, first - 1, known.tail);
        let rest = std::mem::take(&mut self.owners[node].rest);
        if rest != 0 {
            self.build(config, node, &known, [rest, 0], true);
        }
    }

    /// The batch under way is known refused: load, drop what is in the log by key, build what is left (F4).
    pub fn settle_refused(&mut self, config: &Config, node: usize, batch: &Batch) {
        self.owners[node].duty = Duty::Idle;
        let rest = std::mem::take(&mut self.owners[node].rest);
        if !self.load(config, node) {
            return;
        }
        let Some(mut known) = self.owners[node].known else {
            return;
        };
        if config.variant == Variant::BlindRetry {
            known.keys = [0; SEQS];
        }
        let keys = if rest == 0 { batch.keys } else { [batch.keys[0], rest] };
        self.build(config, node, &known, keys, config.variant != Variant::BlindRetry);
    }

    /// The store's answer reaches the owner.
    pub fn answer(&mut self, config: &Config, node: usize, batch: &Batch) {
        match self.store.land(batch, config.bucket_rows, config.variant) {
            Landing::Applied { .. } if config.variant == Variant::WriteThenReread => {
                self.owners[node].duty = Duty::Rereading(*batch);
            }
            Landing::Applied { first } => self.settle_applied(config, node, batch, first),
            Landing::Mine => self.settle_applied(config, node, batch, batch.first),
            Landing::Refused => self.settle_refused(config, node, batch),
        }
    }

    /// F5's serial read after an unknown outcome.
    pub fn read_unknown(&mut self, config: &Config, node: usize, batch: &Batch) {
        let tail = self.store.tail();
        let by_tail = config.variant == Variant::SettleByTail && tail == batch.last();
        if by_tail || self.store.contains(batch, config.bucket_rows) {
            self.settle_applied(config, node, batch, batch.first);
        } else if tail >= batch.first {
            self.settle_refused(config, node, batch);
        } else if config.variant == Variant::RebuildAfterRead {
            self.owners[node].duty = Duty::Idle;
            self.stray(config, *batch);
        } else {
            self.owners[node].duty = Duty::Unknown { batch: *batch, read: true };
        }
    }

    /// What the owner learned goes to the gateway, if it is registered there.
    fn fan_out(&mut self, node: usize, from: u8, to: u8) {
        if self.relay.at == Some(node as u8) {
            self.relay.flight |= seqs(from, to) & !seqs(0, self.relay.last);
        }
    }
}
