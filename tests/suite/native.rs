//! The native protocol over real sockets: what PROTOCOL.md promises a client, seen from outside of a real process.

pub(crate) mod raw;
mod refused;
mod resume;
mod slow;
pub(crate) mod stage;
mod talk;
mod transcript;
