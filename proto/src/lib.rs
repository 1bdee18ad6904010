//! Bytes: the ids, frames, records and schemas that every room of Waggle shares.
//!
//! This crate knows nothing of time, sockets, actors or policy. What it promises: every encoder is
//! deterministic, every decoder returns an error instead of panicking whatever bytes it is given, and
//! protobuf numbers are never reused (`golden/descriptor.txt` is compared in a test).

pub mod close;
pub mod frame;
pub mod id;
pub mod key;
pub mod record;
pub mod refusal;
pub mod ts;

/// Types generated from `schema/*.proto` and their canonical JSON mapping.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/waggle.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/waggle.v1.serde.rs"));
}

/// The encoded `FileDescriptorSet` of `schema/`, for the golden test and for clients that want reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

#[cfg(test)]
mod proof;
