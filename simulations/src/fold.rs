//! Folds: what the views of a log have to say, computed from its events by the simplest program that can.
//!
//! Nothing here is shared with the product but the bytes of `proto`: what a fold says and a store answers is the same
//! only if both are right. A log that should never have been written is an error that names the seq.

mod conversation;
mod inbox;
mod roster;

pub mod compare;

pub use conversation::{Fold, broadcasts, unread};
pub use inbox::Inbox;
pub use roster::{Named, Roster};

use proto::id::UserId;
use proto::v1::Event;
use std::fmt::Display;

/// The events of a log are dense from 1 on, and their times rise.
fn in_order(events: &[Event]) -> Result<(), String> {
    let mut us = 0;
    for (event, seq) in events.iter().zip(1..) {
        unless(event.seq == seq, event, || format!("stands where {seq} should be"))?;
        unless(event.us > us, event, || format!("is of {} and comes after {us}", event.us))?;
        us = event.us;
    }
    Ok(())
}

/// Nobody has to read what happens in the logs of users and workspaces.
fn counts_nothing(event: &Event) -> Result<(), String> {
    let counts = (event.countable, event.broadcast);
    unless(counts == (0, 0), event, || format!("counts {counts:?} where nothing counts"))
}

fn unless(holds: bool, event: &Event, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong(event, what())) }
}

fn wrong(event: &Event, what: impl Display) -> String {
    format!("seq {} {what}", event.seq)
}

fn user(event: &Event, text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|error| wrong(event, format!("names a user wrongly: {error}")))
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
