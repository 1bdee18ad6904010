//! The same time three ways, and what clients send instead of it.

use super::*;
use proptest::prelude::*;

const TEN_DIGITS: std::ops::Range<u64> = 1_000_000_000_000_000..10_000_000_000_000_000;

const VECTORS: [(&str, Micros, u64); 2] = [
    ("1503435956.000247", 1_503_435_956_000_247, 987_676_491_777_011_712),
    ("1795305169.000043", 1_795_305_169_000_043, 2_183_172_788_224_176_128),
];

#[test]
fn the_published_vectors_hold_in_every_direction() {
    for (text, us, id) in VECTORS {
        assert_eq!(parse(text), Some(us));
        assert_eq!(format(us), text);
        assert_eq!(to_id(us, 0), Some(id));
        assert_eq!(from_id(id), Some((us, 0)));
    }
}

#[test]
fn what_clients_send_instead_of_a_ts_is_normalised() {
    for (sent, meant) in [
        ("1503435956", 1_503_435_956_000_000),
        ("1503435956.", 1_503_435_956_000_000),
        ("1503435956.0", 1_503_435_956_000_000),
        ("1503435956.00024", 1_503_435_956_000_240),
        ("1503435956.5", 1_503_435_956_500_000),
        ("1503435956.0002479999", 1_503_435_956_000_247),
        ("0", 0),
        ("0.000001", 1),
        ("01503435956.000247", 1_503_435_956_000_247),
    ] {
        assert_eq!(parse(sent), Some(meant), "{sent}");
    }
}

#[test]
fn a_ts_that_went_through_a_float_comes_back_as_itself() {
    for (text, us, _) in VECTORS {
        let number: f64 = text.parse().expect("a ts reads as a float");
        assert_eq!(parse(&number.to_string()), Some(us));
    }
    assert_eq!(parse(&1_503_435_956.000_24_f64.to_string()), Some(1_503_435_956_000_240));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "",
        ".",
        ".5",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.2.3",
        "1,5",
        "1e9",
        "now",
        "NaN",
        "1.-5",
        "1.5x",
        "٣",
        "1.٣",
        "999999999999999",
        "18446744073710.0",
        "18446744073709.551616",
    ] {
        assert_eq!(parse(text), None, "{text:?}");
    }
    assert_eq!(parse(&"9".repeat(10_000)), None);
    assert_eq!(parse("18446744073709.551615"), Some(u64::MAX));
}

#[test]
fn ids_exist_from_2010_to_2081_and_are_positive_in_signed_integers() {
    let last = ID_EPOCH_US + (1 << 51) - 1;
    assert_eq!(to_id(ID_EPOCH_US, 0), Some(0));
    assert_eq!(to_id(ID_EPOCH_US - 1, 0), None);
    assert_eq!(to_id(last, 0xffff), Some(i64::MAX as u64), "only the low 12 bits of the channel count");
    assert_eq!(format(last), "3514103813.685247", "2081-05-10");
    assert_eq!(to_id(last + 1, 0), None);
    assert_eq!(to_id(u64::MAX, 0), None);
    assert_eq!(from_id(i64::MAX as u64), Some((last, 0x0fff)));
    assert_eq!(from_id(i64::MAX as u64 + 1), None);
    assert_eq!(from_id(u64::MAX), None);
}

#[test]
fn the_next_time_follows_the_clock_but_never_stands_or_goes_back() {
    assert_eq!(next(100, 50), 100);
    assert_eq!(next(100, 100), 101);
    assert_eq!(next(100, 5000), 5001, "a clock that was set back");
    assert_eq!(next(0, u64::MAX), u64::MAX);
}

#[test]
fn a_channels_low_bits_are_pinned() {
    let pinned = [("C0000000001", 198), ("ws:T0000000001", 1881), ("", 0x04c2)];
    assert_eq!(pinned.map(|(channel, _)| (channel, channel_low12(channel))), pinned);
}

proptest! {
    #[test]
    fn every_time_is_its_text(us: u64) {
        prop_assert_eq!(parse(&format(us)), Some(us));
    }
    #[test]
    fn texts_of_ten_digit_seconds_sort_as_their_times(a in TEN_DIGITS, b in TEN_DIGITS) {
        prop_assert_eq!(format(a).cmp(&format(b)), a.cmp(&b));
    }
    #[test]
    fn every_time_that_has_an_id_is_its_id(since in 0u64..1 << 51, channel in 0u16..1 << 12) {
        let us = ID_EPOCH_US + since;
        let id = to_id(us, channel);
        prop_assert_eq!(id.and_then(from_id), Some((us, channel)));
    }
    #[test]
    fn every_number_is_refused_or_the_id_of_its_time(id: u64) {
        if let Some((us, channel)) = from_id(id) {
            prop_assert_eq!(to_id(us, channel), Some(id));
        }
    }
    #[test]
    fn any_text_is_a_time_or_refused(text in "\\PC*") {
        let _ = parse(&text);
    }
    #[test]
    fn digits_with_a_dot_are_read_as_written(seconds in 0u64..10_000_000_000, fraction in "[0-9]{0,12}") {
        let kept: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let micros: u64 = kept.parse().expect("six digits");
        prop_assert_eq!(parse(&format!("{seconds}.{fraction}")), Some(seconds * 1_000_000 + micros));
    }
}
