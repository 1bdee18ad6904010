//! What Waggle promises, as somebody who uses it would say it: one file a promise, a sentence on top of each.
//!
//! Some are judged as soon as a client hears something, the rest when the weather has cleared, against the logs that
//! the stores then hold. None of them looks into the product's memory.

pub mod alive;
pub mod answered;
pub mod bounds;
pub mod copies;
pub mod deleted_is_gone;
pub mod everyone_level;
pub mod heard;
pub mod in_order;
pub mod kept;
pub mod linear;
pub mod members_only;
pub mod no_panic;
pub mod no_phantom;
pub mod nodes_meet;
pub mod nothing_left;
pub mod one_owner;
pub mod one_place;
pub mod own_words;
pub mod refused_is_not_done;
pub mod revoked;
pub mod rot_is_named;
pub mod sense;
pub mod sound_log;
pub mod tenants;
pub mod unchanged;
pub mod views;
pub mod whole_serves;

use crate::{
    oracle::{Logs, book::Book},
    world::report::Violation,
};

/// A promise.
#[derive(Debug)]
pub struct Promise {
    /// What a violation is filed under.
    pub name: &'static str,
    /// What is promised.
    pub says: &'static str,
}

impl Promise {
    /// It was broken, how.
    pub fn broken(&self, detail: impl Into<String>) -> Violation {
        Violation::new(self.name, detail)
    }
    /// Broken unless this holds.
    pub fn holds(&self, holds: bool, detail: impl FnOnce() -> String) -> Result<(), Violation> {
        if holds { Ok(()) } else { Err(self.broken(detail())) }
    }
}

/// All of them.
pub const ALL: &[&Promise] = &[
    &alive::PROMISE,
    &answered::PROMISE,
    &bounds::PROMISE,
    &copies::PROMISE,
    &deleted_is_gone::PROMISE,
    &everyone_level::PROMISE,
    &heard::PROMISE,
    &in_order::PROMISE,
    &kept::PROMISE,
    &linear::PROMISE,
    &members_only::PROMISE,
    &no_panic::PROMISE,
    &no_phantom::PROMISE,
    &nodes_meet::PROMISE,
    &nothing_left::PROMISE,
    &one_owner::PROMISE,
    &one_place::PROMISE,
    &own_words::PROMISE,
    &refused_is_not_done::PROMISE,
    &revoked::PROMISE,
    &rot_is_named::PROMISE,
    &sense::PROMISE,
    &sound_log::PROMISE,
    &tenants::PROMISE,
    &unchanged::PROMISE,
    &views::PROMISE,
    &whole_serves::PROMISE,
];

/// Judges what was heard against the logs that are left.
pub fn judge(book: &Book, logs: &Logs, user_of: &dyn Fn(usize) -> String) -> Result<(), Violation> {
    sound_log::judge(logs)?;
    one_place::judge(logs)?;
    kept::judge(book, logs)?;
    no_phantom::judge(book, logs)?;
    unchanged::judge(book, logs)?;
    linear::judge(book, logs)?;
    refused_is_not_done::judge(book, logs)?;
    in_order::judge(book, logs, user_of)?;
    members_only::judge(book, logs, user_of)?;
    deleted_is_gone::judge(logs)
}

#[cfg(test)]
mod tests;
