//! Two values of one row, and the sentence about what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// Characters of a long row that are shown on both sides of the first difference.
const AROUND: usize = 160;

/// `row` names the view and the row.
pub(super) fn same<T: PartialEq + Debug>(
    row: impl FnOnce() -> String,
    has: &T,
    says: &T,
) -> Result<(), String> {
    if has == says {
        return Ok(());
    }
    let (has, says) = (format!("{has:?}"), format!("{says:?}"));
    let first = has.chars().zip(says.chars()).take_while(|(a, b)| a == b).count();
    let (has, says) = (near(&has, first), near(&says, first));
    Err(format!("{}: the store has {has}, the log says {says}", row()))
}

/// All rows of a view by their keys; the first that differs is named.
pub(super) fn maps<K: Ord + Debug, V: PartialEq + Debug>(
    view: &str,
    has: &BTreeMap<K, V>,
    says: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys: BTreeSet<&K> = has.keys().chain(says.keys()).collect();
    keys.into_iter().try_for_each(|key| same(|| format!("{view}, {key:?}"), &has.get(key), &says.get(key)))
}

/// The part of a text around a place.
fn near(text: &str, place: usize) -> String {
    let from = if text.chars().count() > 2 * AROUND { place.saturating_sub(AROUND) } else { 0 };
    let part: String = text.chars().skip(from).take(2 * AROUND).collect();
    let (before, after) =
        (if from > 0 { "…" } else { "" }, if text.chars().count() > from + 2 * AROUND { "…" } else { "" });
    format!("{before}{part}{after}")
}
