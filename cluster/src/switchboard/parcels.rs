//! Parcels as payloads: one that is larger than a payload may be goes in pieces and is put together again.

use crate::link::LinkError;
use bytes::{Bytes, BytesMut};
use prost::Message;
use proto::v1::{Parcel, Piece, parcel::What};
use std::collections::BTreeMap;

/// Bytes of a piece: with its frame it stays below every link's largest payload.
pub const PIECE_BYTES: usize = 128 * 1024;
/// Largest parcel. A page of a log is about 1 MiB, an append with its bodies less.
pub const PARCEL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Parcels of one class that may be arriving in pieces at the same time; beyond it the oldest is given up.
const ARRIVING_MAX: usize = 64;
/// Bytes of them.
const ARRIVING_BYTES_MAX: usize = 2 * PARCEL_BYTES_MAX;

/// Why a payload is no parcel; it is dropped, and nothing else of the peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// Not one, or an empty one.
    #[error("the payload is no parcel")]
    Malformed,
    /// Larger than this build takes.
    #[error("a parcel of {0} bytes is larger than {PARCEL_BYTES_MAX}")]
    TooLarge(u64),
    /// Pieces that do not fit together.
    #[error("the pieces of a parcel do not make it whole")]
    Pieces,
}

/// The payloads of a parcel. `number` gives names to parcels in pieces.
pub fn encode(what: What, number: impl FnOnce() -> u64) -> Result<Vec<Bytes>, LinkError> {
    let whole = Bytes::from(Parcel { what: Some(what) }.encode_to_vec());
    if whole.len() <= PIECE_BYTES {
        return Ok(vec![whole]);
    }
    let bytes = whole.len();
    if bytes > PARCEL_BYTES_MAX {
        return Err(LinkError::TooLarge { bytes, max: PARCEL_BYTES_MAX });
    }
    let parcel = number();
    let piece = |at: usize| {
        let piece = whole.slice(at..bytes.min(at + PIECE_BYTES));
        let piece = Piece { parcel, whole: bytes as u64, piece };
        Bytes::from(Parcel { what: Some(What::Piece(piece)) }.encode_to_vec())
    };
    Ok((0..bytes).step_by(PIECE_BYTES).map(piece).collect())
}

/// Parcels of one peer and class that are arriving in pieces.
#[derive(Debug, Default)]
pub struct Assembly {
    arriving: BTreeMap<u64, BytesMut>,
    bytes: usize,
}

impl Assembly {
    /// Takes a payload; a parcel if it is whole now.
    pub fn take(&mut self, payload: Bytes) -> Result<Option<What>, ParcelError> {
        match decode(payload)? {
            What::Piece(piece) => self.piece(piece),
            what => Ok(Some(what)),
        }
    }

    fn piece(&mut self, Piece { parcel, whole, piece }: Piece) -> Result<Option<What>, ParcelError> {
        let bytes = usize::try_from(whole).ok().filter(|bytes| *bytes <= PARCEL_BYTES_MAX);
        let bytes = bytes.ok_or(ParcelError::TooLarge(whole))?;
        self.bytes += piece.len();
        let arriving = self.arriving.entry(parcel).or_default();
        arriving.extend_from_slice(&piece);
        let arrived = arriving.len();
        if arrived < bytes && !piece.is_empty() {
            self.give_up_some();
            return Ok(None);
        }
        self.bytes -= arrived;
        let whole = self.arriving.remove(&parcel).unwrap_or_default();
        if arrived != bytes {
            return Err(ParcelError::Pieces);
        }
        match decode(whole.freeze())? {
            What::Piece(_) => Err(ParcelError::Pieces),
            what => Ok(Some(what)),
        }
    }

    /// What a peer began and did not finish, since its queue was full, must not be kept for good.
    fn give_up_some(&mut self) {
        while self.arriving.len() > ARRIVING_MAX || self.bytes > ARRIVING_BYTES_MAX {
            let Some((_, oldest)) = self.arriving.pop_first() else { return };
            self.bytes -= oldest.len();
        }
    }
}

fn decode(payload: Bytes) -> Result<What, ParcelError> {
    Parcel::decode(payload).ok().and_then(|parcel| parcel.what).ok_or(ParcelError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proto::v1::Notice;

    fn notice(bytes: usize) -> What {
        What::Notice(Notice { service: 7, body: vec![5; bytes].into() })
    }

    #[test]
    fn parcels_of_every_size_arrive_as_they_were_also_among_each_other() {
        let sizes = [0, 1, PIECE_BYTES - 100, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 5_000_000];
        let mut numbers = 0..;
        let mut number = || numbers.next().unwrap_or_default();
        let mut queues: Vec<Vec<Bytes>> =
            sizes.iter().map(|size| encode(notice(*size), &mut number).unwrap()).collect();
        assert!(queues.iter().flatten().all(|payload| payload.len() <= PIECE_BYTES + 64));
        let (mut assembly, mut arrived) = (Assembly::default(), Vec::new());
        while queues.iter().any(|queue| !queue.is_empty()) {
            for queue in queues.iter_mut().filter(|queue| !queue.is_empty()) {
                arrived.extend(assembly.take(queue.remove(0)).unwrap());
            }
        }
        assert_eq!(arrived.len(), sizes.len());
        assert!(sizes.iter().all(|size| arrived.contains(&notice(*size))));
        assert_eq!((assembly.bytes, assembly.arriving.len()), (0, 0));
    }

    #[test]
    fn one_that_is_too_large_is_not_sent_and_not_taken() {
        let refused = encode(notice(PARCEL_BYTES_MAX), || 1);
        assert!(matches!(refused, Err(LinkError::TooLarge { max: PARCEL_BYTES_MAX, .. })));
        let piece = Piece { parcel: 1, whole: PARCEL_BYTES_MAX as u64 + 1, piece: vec![0; 9].into() };
        let payload = Parcel { what: Some(What::Piece(piece)) }.encode_to_vec();
        let taken = Assembly::default().take(payload.into());
        assert_eq!(taken, Err(ParcelError::TooLarge(PARCEL_BYTES_MAX as u64 + 1)));
    }

    #[test]
    fn what_was_begun_and_not_finished_is_given_up() {
        let mut assembly = Assembly::default();
        for parcel in 0..10_000 {
            let begun = encode(notice(3 * PIECE_BYTES), || parcel).unwrap();
            assert_eq!(assembly.take(begun[0].clone()), Ok(None));
            assert!(assembly.arriving.len() <= ARRIVING_MAX && assembly.bytes <= ARRIVING_BYTES_MAX);
        }
        let whole = encode(notice(3 * PIECE_BYTES), || 10_001).unwrap();
        let taken: Vec<_> = whole.into_iter().map(|piece| assembly.take(piece).unwrap()).collect();
        assert_eq!(taken.last(), Some(&Some(notice(3 * PIECE_BYTES))));
    }

    proptest! {
        #[test]
        fn payloads_of_any_kind_never_panic_and_hold_no_more_than_the_limit(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..64),
            pieces in prop::collection::vec((0u64..4, 0u64..400, 0usize..300), 0..64),
        ) {
            let mut assembly = Assembly::default();
            for payload in payloads {
                let _ = assembly.take(payload.into());
            }
            for (parcel, whole, length) in pieces {
                let _ = assembly.piece(Piece { parcel, whole, piece: vec![1; length].into() });
            }
            let held: usize = assembly.arriving.values().map(BytesMut::len).sum();
            prop_assert_eq!(held, assembly.bytes);
        }
    }
}
