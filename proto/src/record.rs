//! Records at rest: every value in the store is `{version, kind, checksum, protobuf}`.
//!
//! Byte 0 is the version of the envelope, byte 1 the kind, bytes 2-5 the low half of XXH3 over kind and
//! payload (little-endian), the rest the protobuf message. A damaged or misplaced record is an error with its
//! name, never another record.

use crate::v1;
use prost::Message;

/// Version of the envelope that this build writes.
pub const VERSION: u8 = 1;
/// Bytes before the protobuf message.
pub const HEADER: usize = 6;

/// Why bytes are not the record that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than a header.
    #[error("the record is cut short: {0} bytes")]
    Short(usize),
    /// Written by a build whose envelope this one does not know.
    #[error("the record has version {0}, this build reads version {VERSION}")]
    Version(u8),
    /// A record of another table.
    #[error("the record is of kind {found}, expected {expected}")]
    Kind {
        /// Kind byte found.
        found: u8,
        /// Kind byte of the table.
        expected: u8,
    },
    /// The bytes changed since they were written.
    #[error("the record's checksum does not match: it is damaged")]
    Checksum,
    /// The checksum holds but the message does not parse: written by a faulty program.
    #[error("the record does not parse: {0}")]
    Message(String),
}

/// A message that is kept, with the kind byte that names its table.
pub trait Record: Message + Default {
    /// Kind byte; never reused.
    const KIND: u8;
}

macro_rules! kinds {
    ($($name:ident = $kind:literal),+ $(,)?) => {
        $(impl Record for v1::$name { const KIND: u8 = $kind; })+
        /// Every kind byte with the name of its message, for tools and tests.
        pub const KINDS: &[(u8, &str)] = &[$(($kind, stringify!($name))),+];
        /// Calls `visit` with every kind, so that the proofs (`proof.rs`) forget none.
        #[cfg(test)]
        pub(crate) fn for_each(visit: &mut impl crate::proof::Visit) {
            $(visit.kind::<v1::$name>(stringify!($name));)+
        }
    };
}
kinds! {
    LogRow = 1, Head = 2, BucketRow = 3, MessageRow = 4, ReactionRow = 5, MemberRow = 6, JoinedRow = 7,
    MarkRow = 8, UserRow = 9, ConversationRow = 10, WorkspaceRow = 11, TokenRow = 12, SlotRow = 13,
    BodyRow = 14, ReplyOfRow = 15, ActiveRow = 16, PartitionRow = 17,
}

fn checksum(kind: u8, place: &[u8], payload: &[u8]) -> [u8; 4] {
    let place = if place.is_empty() { 0 } else { xxhash_rust::xxh3::xxh3_64(place) };
    let sum = xxhash_rust::xxh3::xxh3_64_with_seed(payload, place ^ u64::from(kind));
    (sum as u32).to_le_bytes()
}

/// Encodes a message with its header.
pub fn seal<R: Record>(record: &R) -> Vec<u8> {
    seal_at(&[], record)
}

/// Encodes a message for the place with this key: it does not open anywhere else, so that a damaged key is
/// found as surely as a damaged value.
pub fn seal_at<R: Record>(place: &[u8], record: &R) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + record.encoded_len());
    bytes.extend_from_slice(&[VERSION, R::KIND, 0, 0, 0, 0]);
    record.encode_raw(&mut bytes);
    let sum = checksum(R::KIND, place, &bytes[HEADER..]);
    bytes[2..HEADER].copy_from_slice(&sum);
    bytes
}

/// Checks the header and decodes.
pub fn open<R: Record>(bytes: &[u8]) -> Result<R, RecordError> {
    open_at(&[], bytes)
}

/// Checks the header of a record that [`seal_at`] made for this place, and decodes.
pub fn open_at<R: Record>(place: &[u8], bytes: &[u8]) -> Result<R, RecordError> {
    if bytes.len() < HEADER {
        return Err(RecordError::Short(bytes.len()));
    }
    let (header, payload) = bytes.split_at(HEADER);
    if header[0] != VERSION {
        return Err(RecordError::Version(header[0]));
    }
    if header[1] != R::KIND {
        return Err(RecordError::Kind { found: header[1], expected: R::KIND });
    }
    if header[2..] != checksum(header[1], place, payload) {
        return Err(RecordError::Checksum);
    }
    R::decode(payload).map_err(|e| RecordError::Message(e.to_string()))
}

#[cfg(test)]
mod tests;
