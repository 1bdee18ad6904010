//! Sockets: what comes in over TCP becomes requests and sessions here.

pub mod config;
pub mod socket;
