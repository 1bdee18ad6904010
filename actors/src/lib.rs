//! Slack's nouns as actors: channels, sessions, relays, what they keep, and the Web API's meaning.
//!
//! This crate opens no socket and no file, asks no clock but its [`cluster::host::Host`] and does not know which
//! database keeps its rows.

pub mod api;
pub mod auth;
pub mod command;
pub mod config;
pub mod context;
pub mod opening;
pub mod router;
pub mod session;
pub mod store;
pub mod tickets;
