//! Nodes and keys: which node holds which slot, how a slot changes hands, how nodes speak, and the
//! [`host::Host`] through which everything gets time, chance and tasks.
//!
//! This crate does not know what a channel or a user is: it hashes bytes to slots and moves bytes over links.

pub mod charm;
pub mod claimant;
pub mod claims;
pub mod fence;
pub mod gossip;
pub mod host;
pub mod link;
pub mod node;
pub mod overview;
pub mod placement;
#[cfg(planted)]
pub mod planted;
pub mod ring;
pub mod router;
pub mod slots;
pub mod swim;
pub mod switchboard;
pub mod table;

/// Whether this planted bug is chosen. `false`, and nothing of the bug's name, unless built with `--cfg planted`.
#[cfg(not(planted))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}

/// Whether this planted bug is chosen.
#[cfg(planted)]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::planted::is($crate::planted::Bug::$bug)
    };
}
