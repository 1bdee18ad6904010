//! Nodes and keys: which node holds which slot, how a slot changes hands, how nodes speak, and the
//! [`host::Host`] through which everything gets time, chance and tasks.
//!
//! This crate does not know what a channel or a user is: it hashes bytes to slots and moves bytes over links.

pub mod claimant;
pub mod claims;
pub mod fence;
pub mod host;
pub mod link;
pub mod node;
pub mod ring;
pub mod router;
pub mod slots;
pub mod table;
