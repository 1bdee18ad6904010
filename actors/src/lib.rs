//! Slack's nouns as actors: channels, sessions, relays, what they keep, and the Web API's meaning.
//!
//! This crate opens no socket and no file, asks no clock but its [`cluster::host::Host`] and does not know which
//! database keeps its rows.

pub mod admin;
pub mod api;
pub mod auth;
pub mod channel;
pub mod command;
pub mod config;
pub mod context;
pub mod conversation;
pub mod delivery;
pub mod follow;
pub mod gate;
pub mod gateway;
pub mod hops;
pub mod inbox;
pub mod limits;
pub mod marks;
pub mod node;
pub mod opening;
pub mod peer;
pub mod peers;
pub mod placement;
pub mod relay;
pub mod roster;
pub mod router;
pub mod rtm;
pub mod scopes;
pub mod session;
pub mod shard;
pub mod slot;
pub mod store;
pub mod subject;
pub mod tenure;
pub mod tickets;
