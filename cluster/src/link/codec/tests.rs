//! Whatever the bytes and however they are cut up: the same batches, or one error.

use super::*;
use proptest::prelude::*;
use proto::v1::{LinkClass, LinkEnvelope};

fn config() -> LinkConfig {
    let payload_bytes_max = 300;
    LinkConfig { payload_bytes_max, batch_frames_max: 8, batch_bytes: 600, ..LinkConfig::default() }
}
fn batches() -> impl Strategy<Value = Vec<LinkBatch>> {
    let envelope = (0i32..3, prop::collection::vec(any::<u8>(), 0..100))
        .prop_map(|(class, payload)| LinkEnvelope { class, payload: payload.into() });
    let batch = (any::<u64>(), prop::collection::vec(envelope, 0..8), any::<u64>(), any::<u64>()).prop_map(
        |(seq, envelopes, urgent_credit, normal_credit)| LinkBatch {
            seq,
            envelopes,
            urgent_credit,
            normal_credit,
        },
    );
    prop::collection::vec(batch, 0..6)
}
/// Feeds the bytes in pieces and collects what comes, up to the first error.
fn read(bytes: &[u8], piece: usize) -> (Vec<LinkBatch>, Option<CodecError>) {
    let (mut decoder, mut found) = (Decoder::new(&config()), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.buffer().extend_from_slice(piece);
        loop {
            match decoder.batch() {
                Ok(Some(batch)) => found.push(batch),
                Ok(None) => break,
                Err(error) => return (found, Some(error)),
            }
        }
    }
    (found, None)
}

proptest! {
    #[test]
    fn batches_survive_however_the_stream_is_cut(batches in batches(), piece in 1usize..200) {
        let bytes: Vec<u8> = batches.iter().flat_map(|batch| encode(batch).to_vec()).collect();
        prop_assert_eq!(read(&bytes, piece), (batches, None));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_an_error_is_final(
        bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1usize..300, honest: bool,
    ) {
        let mut stream = bytes.clone();
        if honest {
            // A true length, so that the bytes reach the protobuf decoder.
            stream = (bytes.len() as u32).to_be_bytes().to_vec();
            stream.extend(&bytes);
        }
        let mut decoder = Decoder::new(&config());
        let mut failed: Option<CodecError> = None;
        for piece in stream.chunks(piece) {
            decoder.buffer().extend_from_slice(piece);
            let answer = decoder.batch();
            if let Some(failed) = &failed {
                prop_assert_eq!(answer.as_ref(), Err(failed));
            }
            failed = answer.err();
        }
    }

    #[test]
    fn a_damaged_stream_is_batches_or_an_error(
        batches in batches(), mask in 1u8..=255,
        (at, cut) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mut bytes: Vec<u8> = batches.iter().flat_map(|batch| encode(batch).to_vec()).collect();
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        let (found, _) = read(&bytes, 64);
        prop_assert!(found.iter().all(|batch| batch.envelopes.len() <= config().batch_frames_max));
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_its_bytes_are_read() {
    let max = config().wire_bytes_max();
    let mut decoder = Decoder::new(&config());
    decoder.buffer().extend_from_slice(&(max as u32 + 1).to_be_bytes());
    let error = CodecError::TooLong { bytes: max + 1, max };
    assert_eq!(decoder.batch(), Err(error.clone()));
    decoder.buffer().extend_from_slice(&encode(&LinkBatch::default()));
    assert_eq!(decoder.batch(), Err(error), "a stream that lost its frame has no next message");
}

#[test]
fn nothing_is_read_after_a_message_that_does_not_parse() {
    let mut decoder = Decoder::new(&config());
    decoder.buffer().extend_from_slice(&[0, 0, 0, 1, 0xff]);
    decoder.buffer().extend_from_slice(&encode(&LinkBatch { seq: 1, ..LinkBatch::default() }));
    let error = decoder.batch().unwrap_err();
    assert!(matches!(error, CodecError::Malformed(_)), "{error}");
    assert_eq!(decoder.batch(), Err(error));
}

#[test]
fn more_envelopes_than_allowed_are_counted_and_not_decoded() {
    let batch = LinkBatch { seq: 1, envelopes: vec![LinkEnvelope::default(); 9], ..LinkBatch::default() };
    let (found, error) = read(&encode(&batch), 1000);
    assert_eq!((found, error), (vec![], Some(CodecError::TooMany { count: 9, max: 8 })));
}

#[test]
fn the_largest_batch_that_a_lane_may_write_is_read() {
    let config = config();
    let payload = |bytes| LinkEnvelope { class: LinkClass::Normal.into(), payload: vec![1; bytes].into() };
    let mut envelopes = vec![payload(85); 7];
    envelopes.push(payload(config.payload_bytes_max));
    let most = u64::MAX;
    let batch = LinkBatch { seq: most, envelopes, urgent_credit: most, normal_credit: most };
    let bytes = encode(&batch);
    assert!(bytes.len() <= LENGTH_BYTES + config.wire_bytes_max());
    assert_eq!(read(&bytes, 50), (vec![batch], None));
}

#[test]
fn a_hello_comes_first_and_is_short() {
    let (node, cell, most) = ("n".repeat(64), "c".repeat(64), u64::MAX);
    let hello = LinkHello { version: 1, node, boot: most, cell, asks: true, ..LinkHello::default() };
    let hello = LinkHello { started_us: most, holder: most, holder_started_us: most, ..hello };
    let mut decoder = Decoder::new(&config());
    decoder.buffer().extend_from_slice(&encode(&hello));
    assert_eq!(decoder.hello(), Ok(Some(hello.clone())));
    assert_eq!(decoder.hello(), Ok(None));
    let long = LinkHello { node: "n".repeat(300), ..hello };
    decoder.buffer().extend_from_slice(&encode(&long));
    assert!(matches!(decoder.hello(), Err(CodecError::TooLong { .. })));
}
