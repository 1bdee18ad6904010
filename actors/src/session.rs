//! A session: one connection of one user.
//!
//! Owns: the connection, its cursors and what waits for it.
//! Promises: every followed channel in order without gaps; an answer to every command, only when it is durable.
//! May lose: its whole queue, when the reader is slow; it then resumes from its cursors.
//! Never does: block a channel, remember anything that cannot be rebuilt from the client's cursors.

pub mod socket;

pub use socket::{FrameSocket, Incoming, SocketError, Surface};
