//! What a user can see: real processes, real sockets, real clients. The suite in `suite/` stands on these.

pub mod client;
pub mod harness;
