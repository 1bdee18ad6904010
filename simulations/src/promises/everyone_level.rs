//! Everybody who is connected has everything that their conversations hold.

use super::Promise;
use crate::oracle::book::Book;
use std::collections::BTreeMap;

/// See above.
pub const PROMISE: Promise = Promise {
    name: "everybody is level",
    says: "Everybody who is connected has everything that their conversations hold.",
};

/// Clients that have not been shown everything yet: each channel that they are in, with its tail.
pub fn behind(book: &Book, client: usize, tails: &BTreeMap<String, u64>) -> Vec<String> {
    let shown = book.shown.get(&client);
    let late = tails.iter().filter_map(|(channel, tail)| {
        let last = shown.and_then(|shown| shown.get(channel)).map_or(0, |shown| shown.last());
        (last < *tail).then(|| format!("client {client} is at {last} of {tail} in {channel}"))
    });
    late.collect()
}
