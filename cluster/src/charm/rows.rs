//! The rows of the slot table are read again and again, some at a time: news of them may have got lost. Every node
//! reads the same, whatever else it does, so how long that takes tells how good its way to the store is.

use crate::{
    claimant::PARTITIONS,
    claims::{Claims, ClaimsError},
    host::Host,
    router::Router,
    table::Owner,
};
use futures::future::try_join_all;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Partitions of one read.
const READ_AT_ONCE: u16 = 4;
const _: () = assert!(PARTITIONS.is_multiple_of(READ_AT_ONCE));
/// Between two reads: the whole table in ten seconds where they take none.
const READ_EACH: Duration = Duration::from_millis(10_000 * READ_AT_ONCE as u64 / PARTITIONS as u64);
/// By so many reads the way to the store is judged: ten seconds of them.
const READS: usize = 16;
/// The slowest of them that are left out: what a pause or a packet that is lost now and then comes to.
const LEFT_OUT: usize = 2;
/// A read that fails counts as if it had taken so long: a link that comes and goes is no good way either. Those that
/// follow it and fail at once do not count: there is no link, and whoever has none for long is judged for that.
const FAILED: Duration = Duration::from_secs(4);
const AT_ONCE: Duration = Duration::from_millis(50);
/// Whatever takes less is told as this. Longer times are told in steps of twice the one before: peers are told what is
/// new.
const FAST: Duration = Duration::from_millis(64);

/// How long reads of the store have taken lately. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Way(Arc<Mutex<VecDeque<Duration>>>);

impl Way {
    fn reads(&self) -> MutexGuard<'_, VecDeque<Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn took(&self, took: Duration) {
        let mut reads = self.reads();
        reads.truncate(READS - 1);
        reads.push_front(took);
    }
    /// The third slowest of the last 16 reads, rounded up to 64 ms, 128 ms, 256 ms and so on; `None` while there are
    /// fewer than half of them.
    pub(super) fn takes(&self) -> Option<Duration> {
        let mut reads: Vec<Duration> = self.reads().iter().copied().collect();
        if reads.len() < READS / 2 {
            return None;
        }
        reads.sort_unstable();
        let slow = reads[reads.len() - 1 - LEFT_OUT];
        let steps = std::iter::successors(Some(FAST), |step| step.checked_mul(2));
        steps.into_iter().find(|step| *step >= slow)
    }
}

/// The task that reads.
pub(super) struct Rows {
    pub(super) host: Host,
    pub(super) claims: Arc<dyn Claims>,
    pub(super) routes: Router,
    pub(super) way: Way,
}

impl Rows {
    /// Reads, for ever.
    pub(super) async fn run(self) {
        let mut was_readable = true;
        for first in (0..PARTITIONS).step_by(READ_AT_ONCE.into()).cycle() {
            self.host.sleep(READ_EACH).await;
            if crate::planted!(NewsOfSlotsKept) {
                continue;
            }
            let began = self.host.monotonic();
            let read = self.read(first).await;
            let took = self.host.monotonic().saturating_sub(began);
            match read.is_ok() {
                true => self.way.took(took),
                false if was_readable || took >= AT_ONCE => self.way.took(took.max(FAILED)),
                false => {}
            }
            if let (Err(error), true) = (&read, was_readable) {
                tracing::warn!(%error, "rows of the slot table not readable");
            }
            was_readable = read.is_ok();
        }
    }

    async fn read(&self, first: u16) -> Result<(), ClaimsError> {
        let partitions = (first..first + READ_AT_ONCE).map(|partition| self.claims.read(partition));
        let rows = try_join_all(partitions).await?.into_iter().flatten();
        // A row that makes no sense is named where it is needed.
        let owners = rows.filter_map(|(slot, row)| Some((slot, Owner::of_row(slot, &row).ok()??)));
        self.routes.table().apply(&owners.collect::<Vec<_>>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        claims::{Claim, ClaimOutcome},
        host::paused,
        node::{BootId, CellId, Node, NodeId},
        slots::Slot,
        table::Table,
    };
    use futures::{
        FutureExt,
        future::{BoxFuture, ready},
    };
    use proto::v1::SlotRow;
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    /// Rows that can be read, or not.
    #[derive(Clone, Default)]
    struct Flaky(Arc<AtomicBool>);

    impl Claims for Flaky {
        fn read(&self, _: u16) -> BoxFuture<'static, Result<Vec<(Slot, SlotRow)>, ClaimsError>> {
            let fails = self.0.load(Relaxed);
            ready(if fails { Err(ClaimsError("no link".into())) } else { Ok(Vec::new()) }).boxed()
        }
        fn claim(&self, _: Vec<Claim>) -> BoxFuture<'static, Result<Vec<ClaimOutcome>, ClaimsError>> {
            unreachable!("rows are only read")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_is_down_once_makes_no_slow_way_and_one_that_comes_and_goes_does() {
        let (host, way, flaky) = (paused::host(), Way::default(), Flaky::default());
        let me = Node { id: NodeId::parse("a").unwrap(), boot: BootId(1), cell: CellId::parse("c").unwrap() };
        let routes = Router::new(Arc::new(me), Arc::new(Table::new()));
        let rows = Rows { host: host.clone(), claims: Arc::new(flaky.clone()), routes, way: way.clone() };
        host.spawn("rows", rows.run());
        let passes = async |fails, secs| {
            flaky.0.store(fails, Relaxed);
            host.sleep(Duration::from_secs(secs)).await;
            way.takes()
        };
        assert_eq!(passes(false, 10).await, Some(FAST));
        assert_eq!(passes(true, 4).await, Some(FAST), "the store is started again");
        assert_eq!(passes(false, 15).await, Some(FAST));
        for _ in 0..3 {
            passes(true, 1).await;
            passes(false, 1).await;
        }
        assert!(way.takes() >= Some(FAILED), "{:?}", way.takes());
    }

    #[test]
    fn a_way_is_as_slow_as_the_third_slowest_of_its_last_reads() {
        let (way, ms) = (Way::default(), Duration::from_millis);
        (0..READS / 2 - 1).for_each(|_| way.took(ms(1)));
        assert_eq!(way.takes(), None, "too few");
        way.took(ms(1));
        assert_eq!(way.takes(), Some(FAST));
        (0..LEFT_OUT).for_each(|_| way.took(ms(5000)));
        assert_eq!(way.takes(), Some(FAST), "two are left out");
        way.took(ms(129));
        assert_eq!(way.takes(), Some(ms(256)));
        (0..READS - 3).for_each(|_| way.took(ms(1)));
        assert_eq!(way.takes(), Some(ms(256)));
        way.took(ms(128));
        assert_eq!(way.takes(), Some(ms(128)), "the first slow one is forgotten");
    }
}
