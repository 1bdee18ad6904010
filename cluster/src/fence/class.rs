//! F7: what has a place in the order of a log, and what has none.

/// How an event travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventClass {
    /// An event of the log: sends, edits, deletions, reactions, joins, leaves, topics, pins, permissions. It
    /// has a seq, is kept before it is delivered, and is delivered to who was a member at that seq.
    Ordered,
    /// Typing and presence: no seq, not kept, tagged with the epoch of the owner that sent it, may be lost.
    Transient {
        /// Epoch of the claim under which it was sent.
        epoch: u64,
    },
}

impl EventClass {
    /// Whether it must be appended before anyone sees it.
    pub fn is_kept(self) -> bool {
        self == Self::Ordered
    }
    /// Whether a queue at its limit, or a receiver that knows `known_epoch`, may drop it. A transient event
    /// of an older epoch comes from an owner that is one no longer.
    pub fn may_drop(self, queue_full: bool, known_epoch: u64) -> bool {
        match self {
            Self::Ordered => false,
            Self::Transient { epoch } => queue_full || epoch < known_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordered_event_is_kept_and_never_dropped() {
        assert!(EventClass::Ordered.is_kept());
        assert!(!EventClass::Ordered.may_drop(true, 99));
    }

    #[test]
    fn a_transient_event_is_dropped_when_the_queue_is_full_or_its_owner_was_replaced() {
        let typing = EventClass::Transient { epoch: 4 };
        assert!(!typing.is_kept());
        assert!(!typing.may_drop(false, 4));
        assert!(!typing.may_drop(false, 3), "a receiver behind the owner still shows it");
        assert!(typing.may_drop(true, 4));
        assert!(typing.may_drop(false, 5));
    }
}
