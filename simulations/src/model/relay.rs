//! A gateway's relay: where it is subscribed and how far it got.

/// Bits of the seqs in `(from, to]`.
pub fn seqs(from: u8, to: u8) -> u8 {
    (from + 1..=to).fold(0, |bits, seq| bits | 1 << seq)
}

/// One gateway that follows the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Relay {
    /// The node it is subscribed at, as that node sees it.
    pub at: Option<u8>,
    /// Wrong variant only: the node that took the snapshot and will register it in a later turn.
    pub joining: Option<u8>,
    /// Last seq handed to clients.
    pub last: u8,
    /// Seqs handed to clients, or skipped on the owner's word.
    pub applied: u8,
    /// Tail in the snapshot of the current subscription, if a replay was due.
    pub snapshot: u8,
    /// Seqs on their way to it, replayed or live, in any order.
    pub flight: u8,
    /// Seqs that came early and wait for the ones before.
    pub held: u8,
}

impl Relay {
    /// The receiver rule: `seq = last + 1` apply, `<= last` drop, else hold (unless `early` events are
    /// applied at once).
    pub fn receive(&mut self, seq: u8, early: bool) {
        self.flight &= !(1 << seq);
        self.held |= 1 << seq;
        while self.held & (1 << (self.last + 1)) != 0 {
            self.apply(self.last + 1);
        }
        if early && seq > self.last {
            self.apply(seq);
        }
        self.held &= !seqs(0, self.last);
    }

    fn apply(&mut self, seq: u8) {
        self.last = seq;
        self.applied |= 1 << seq;
    }

    /// I4: whether clients got every seq up to the last one, or were told to skip it.
    pub fn is_contiguous(&self) -> bool {
        self.applied == seqs(0, self.last)
    }

    /// The link broke: what was on it is gone, and so is the subscription.
    pub fn disconnect(&mut self) {
        *self = Self { last: self.last, applied: self.applied, held: self.held, ..Self::default() };
    }

    /// Registers and takes the snapshot `tail` in one turn of the owner `node`: the replay is `(last, tail]`.
    /// A cursor before the rows that retention left is told to skip to `oldest`.
    pub fn subscribe(&mut self, node: u8, tail: u8, oldest: u8) {
        self.applied |= seqs(0, oldest);
        self.last = self.last.max(oldest);
        self.at = Some(node);
        self.snapshot = if tail > self.last { tail } else { 0 };
        self.flight |= seqs(self.last, tail);
    }

    /// Whether every seq up to `tail` has been applied, is held or is on its way.
    pub fn has_all(&self, tail: u8) -> bool {
        seqs(self.last, tail) & !(self.flight | self.held) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_event_waits_for_the_one_before_it() {
        let mut relay = Relay::default();
        relay.subscribe(0, 2, 0);
        relay.receive(2, false);
        assert_eq!((relay.last, relay.held), (0, 1 << 2));
        relay.receive(1, false);
        assert_eq!((relay.last, relay.held), (2, 0));
        assert!(relay.is_contiguous());
    }

    #[test]
    fn a_cursor_older_than_the_log_skips_to_what_is_left() {
        let mut relay = Relay::default();
        relay.subscribe(0, 3, 2);
        assert_eq!((relay.last, relay.flight), (2, 1 << 3));
        assert!(relay.is_contiguous() && relay.has_all(3));
    }
}
