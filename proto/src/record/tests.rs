//! The envelope of records; that every kind round-trips and detects every flipped bit is in
//! `proof/decoders.rs`.

use super::*;

fn head() -> v1::Head {
    v1::Head { tail: 7, epoch: 3, last_us: 1_800_000_000_000_000, ..Default::default() }
}

#[test]
fn the_envelope_is_version_kind_checksum_payload() {
    let bytes = seal(&head());
    assert_eq!(bytes[..2], [VERSION, 2]);
    assert_eq!(bytes[2..6], checksum(2, &[], &bytes[6..]));
    assert_eq!(bytes[6..], head().encode_to_vec());
    assert_eq!(open::<v1::Head>(&bytes), Ok(head()));
}

#[test]
fn an_empty_message_still_has_its_envelope() {
    let bytes = seal(&v1::Head::default());
    assert_eq!(bytes.len(), HEADER);
    assert_eq!(open::<v1::Head>(&bytes), Ok(v1::Head::default()));
}

#[test]
fn each_damage_has_its_own_error() {
    let bytes = seal(&head());
    let changed = |at: usize, to: u8| {
        let mut copy = bytes.clone();
        copy[at] = to;
        open::<v1::Head>(&copy)
    };
    assert_eq!(open::<v1::Head>(&bytes[..5]), Err(RecordError::Short(5)));
    assert_eq!(open::<v1::Head>(&[]), Err(RecordError::Short(0)));
    assert_eq!(changed(0, 9), Err(RecordError::Version(9)));
    assert_eq!(changed(1, 1), Err(RecordError::Kind { found: 1, expected: 2 }));
    assert_eq!(changed(3, !bytes[3]), Err(RecordError::Checksum));
    assert_eq!(changed(8, !bytes[8]), Err(RecordError::Checksum));
    assert_eq!(open::<v1::Head>(&bytes[..bytes.len() - 1]), Err(RecordError::Checksum));
}

#[test]
fn the_same_payload_under_another_kind_has_another_checksum() {
    let mut bytes = seal(&v1::ReactionRow { seq: 5 });
    bytes[1] = v1::MemberRow::KIND;
    assert_eq!(open::<v1::MemberRow>(&bytes), Err(RecordError::Checksum));
}

#[test]
fn a_record_opens_only_at_the_place_it_was_sealed_for() {
    let bytes = seal_at(b"T1/C1/7", &head());
    assert_eq!(open_at::<v1::Head>(b"T1/C1/7", &bytes), Ok(head()));
    for place in [b"T1/C1/8".as_slice(), b"T1/C1/", b""] {
        assert_eq!(open_at::<v1::Head>(place, &bytes), Err(RecordError::Checksum));
    }
    assert_eq!(open_at::<v1::Head>(b"T1/C1/7", &seal(&head())), Err(RecordError::Checksum));
}

#[test]
fn a_message_that_does_not_parse_under_a_good_checksum_is_named() {
    let mut bytes = vec![VERSION, 2, 0, 0, 0, 0, 0xff];
    let sum = checksum(2, &[], &bytes[HEADER..]);
    bytes[2..HEADER].copy_from_slice(&sum);
    assert!(matches!(open::<v1::Head>(&bytes), Err(RecordError::Message(_))));
}

#[test]
fn kind_bytes_are_dense_and_named_once() {
    for (at, (kind, name)) in KINDS.iter().enumerate() {
        assert_eq!(usize::from(*kind), at + 1, "{name}");
        assert_eq!(KINDS.iter().filter(|(_, other)| other == name).count(), 1, "{name}");
    }
}
