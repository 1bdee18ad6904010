//! Events of one log with what they changed beyond themselves.

use super::{named, present};
use crate::command::Aside;
use crate::delivery::Delivery;
use crate::peer::PeerError;
use proto::v1::{PeerEvent, PeerEvents, PeerNotice, peer_notice};
use std::sync::Arc;

/// The notice that brings these events. Panics when they are not of one log.
pub fn deliver(events: &[Arc<Delivery>]) -> PeerNotice {
    PeerNotice { what: Some(peer_notice::What::Deliver(events_message(events))) }
}

/// Events under the name of their log. Panics when they are not of one.
pub fn events_message(events: &[Arc<Delivery>]) -> PeerEvents {
    let log = events.first().map(|first| &first.log);
    let one_log = events.iter().all(|delivery| Some(&delivery.log) == log);
    assert!(one_log, "events of two logs went under the name of {log:?}");
    PeerEvents { log: log.map(Into::into), events: events.iter().map(|delivery| message(delivery)).collect() }
}

fn message(delivery: &Delivery) -> PeerEvent {
    let Aside { message, previous, parent } = &delivery.aside;
    let row = |row: &Option<Arc<_>>| row.as_deref().cloned();
    PeerEvent {
        event: Some(delivery.event.clone()),
        message: row(message),
        previous: row(previous),
        parent: row(parent),
    }
}

/// What [`events_message`] made.
pub fn deliveries(PeerEvents { log, events }: PeerEvents) -> Result<Vec<Arc<Delivery>>, PeerError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let log = named(log)?;
    let delivery = |PeerEvent { event, message, previous, parent }| {
        let event = present(event, "event")?;
        // A log begins at 1, and receivers count on it.
        if event.seq == 0 {
            return Err(PeerError::Impossible("seq", 0));
        }
        let row = |row: Option<_>| row.map(Arc::new);
        let aside = Aside { message: row(message), previous: row(previous), parent: row(parent) };
        Ok(Arc::new(Delivery::new(log.clone(), event, aside)))
    };
    events.into_iter().map(delivery).collect()
}
