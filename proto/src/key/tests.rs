//! Keys, their forms and their ages.

use super::*;
use proptest::prelude::*;

const DAY_US: Micros = 24 * 3600 * 1_000_000;

fn v7(ms: u64) -> String {
    let tail = (7 << 76) | (2 << 62) | 0x2345;
    uuid::Uuid::from_u128((u128::from(ms) << 80) | tail).to_string()
}

#[test]
fn the_time_of_the_rfc_9562_example_is_read() {
    let us = time_us("017F22E2-79B0-7CC3-98C4-DC0C0C07398F");
    assert_eq!(us, Some(1_645_557_742_000_000), "2022-02-22 14:22:22 GMT-5");
}

#[test]
fn keys_of_other_kinds_have_no_time() {
    for key in ["919108f7-52d1-4320-9bac-f847db4148a8", "join:C1:7", "", "017F22E2-79B0-7CC3-98C4"] {
        assert_eq!(time_us(key), None, "{key}");
        assert_eq!(check(key, u64::MAX), Ok(()), "{key}");
    }
}

#[test]
fn a_key_is_good_for_seven_days_to_the_microsecond() {
    let born = 1_800_000_000_000_000;
    let key = v7(born / 1000);
    for (now, expected) in [
        (born, Ok(())),
        (born + 7 * DAY_US, Ok(())),
        (born + 7 * DAY_US + 1, Err(KeyError::TooOld)),
        (u64::MAX, Err(KeyError::TooOld)),
        (0, Ok(())),
    ] {
        assert_eq!(check(&key, now), expected, "at {now}");
    }
}

#[test]
fn the_last_millisecond_a_key_can_name_does_not_overflow() {
    let key = v7((1 << 48) - 1);
    assert_eq!(time_us(&key), Some(((1 << 48) - 1) * 1000));
    assert_eq!(check(&key, u64::MAX), Err(KeyError::TooOld));
    assert_eq!(check(&key, 0), Ok(()));
}

#[test]
fn only_64_printable_ascii_characters_are_a_key() {
    assert_eq!(check(&"k".repeat(64), 0), Ok(()));
    for key in ["k".repeat(65), "a b".into(), "a\n".into(), "schlüssel".into(), "\u{7f}".into(), "\0".into()]
    {
        assert_eq!(check(&key, 0), Err(KeyError::Malformed), "{key:?}");
    }
}

proptest! {
    #[test]
    fn every_millisecond_comes_back_out_of_its_key(ms in 0u64..1 << 48) {
        prop_assert_eq!(time_us(&v7(ms)), Some(ms * 1000));
    }
    #[test]
    fn any_text_is_a_key_or_refused(text in any::<String>(), now: u64) {
        let legal = text.len() <= KEY_BYTES_MAX && text.chars().all(|c| c.is_ascii_graphic());
        prop_assert_eq!(check(&text, now) == Err(KeyError::Malformed), !legal);
    }
}
