//! Weather: virtual machines in one replayable process, scenarios that live in them, and the model of the
//! ownership protocol.
//!
//! Nothing here asks the operating system for time, chance, sockets or disks. The binary `waggle-sim` also takes
//! the C library's clock and entropy away from the crates below, so that a seed gives the same bytes in every
//! process.

pub mod clients;
pub mod faults;
pub mod fold;
pub mod model;
pub mod oracle;
pub mod plan;
pub mod promises;
pub mod scenarios;
pub mod shrink;
pub mod sometimes;
pub mod stage;
pub mod world;
