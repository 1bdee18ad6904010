//! The process stands still (`SIGSTOP`) under load and goes on as if nothing had been, while clients gave it up, came
//! again and repeated what had no answer. Systems that trusted a clock or a lease lost acknowledged writes here.
//!
//! The suite runs the short form; `WAGGLE_PAUSES=20` the long one.

use super::load::{LANES, SENDERS};
use super::{Book, Crowd, at_work, judge, number, within};
use crate::native::stage::{self, Stage};
use anyhow::Result;
use cluster::host::Entropy;
use std::sync::Arc;
use std::time::Duration;
use tests::harness::step;

/// Pauses of the short form.
const PAUSES_DEFAULT: u64 = 3;
/// From so many pauses on it is the long form.
const PAUSES_LONG: u64 = 20;
/// Shortest pause, and the longest of either form, ms.
const PAUSE_MS: u64 = 1000;
const PAUSE_SHORT_MAX_MS: u64 = 3000;
const PAUSE_LONG_MAX_MS: u64 = 60_000;
/// Acks between two pauses, at least.
const ACKS_BETWEEN_MIN: u64 = 500;
/// Answers that may have left the node before it stopped: one of each lane.
const ON_THEIR_WAY_MAX: u64 = (SENDERS * LANES) as u64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stands_still_and_goes_on_loses_doubles_and_moves_nothing() -> Result<()> {
    let pauses = number("WAGGLE_PAUSES").unwrap_or(PAUSES_DEFAULT);
    let most_ms = if pauses >= PAUSES_LONG { PAUSE_LONG_MAX_MS } else { PAUSE_SHORT_MAX_MS };
    let chance = Entropy::from_u64(number("WAGGLE_KILL_SEED").unwrap_or(1)).fork("pauses");
    let stage = Stage::open(stage::plain(&[])).await?;
    let book = Arc::new(Book::default());
    let crowd = Crowd::gather(&stage, book.clone(), &chance).await?;
    let (mut in_flight, mut stood_ms) = (0, 0);
    for _ in 0..pauses {
        in_flight += u64::from(at_work(&crowd, &book, ACKS_BETWEEN_MIN, &chance).await?);
        stage.node.signal(libc::SIGSTOP)?;
        let before = book.acks();
        let pause_ms = PAUSE_MS + chance.below(most_ms - PAUSE_MS + 1);
        let answered =
            within(Duration::from_millis(pause_ms), book.reach(before + ON_THEIR_WAY_MAX + 1)).await;
        assert!(answered.is_none(), "who answers while the node stands still? {answered:?}");
        stood_ms += pause_ms;
        stage.node.signal(libc::SIGCONT)?;
    }
    step("acks after the last pause", book.reach(book.acks() + ACKS_BETWEEN_MIN)).await??;
    let verdict = judge::judge(&stage.node, crowd, &book).await?;
    println!("{pauses} pauses, {stood_ms} ms in all, {in_flight} with posts on their way\n{verdict:?}");
    assert!(verdict.acks >= (pauses + 1) * ACKS_BETWEEN_MIN);
    assert!(in_flight * 10 >= pauses * 3, "too few pauses met a post on its way: {in_flight} of {pauses}");
    Ok(())
}
