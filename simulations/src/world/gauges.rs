//! The product's own metrics, counted for one world: what its queues, copies and reads came to.

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// All metrics of a world. Histograms are not kept: they hold times, which are not promised here.
#[derive(Debug, Clone, Default)]
pub struct Gauges(Arc<Mutex<HashMap<Key, Arc<Cell>>>>);

/// The value of one metric.
#[derive(Debug, Default)]
struct Cell(AtomicU64);

impl Gauges {
    fn cells(&self) -> MutexGuard<'_, HashMap<Key, Arc<Cell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let mut cells = self.cells();
        match cells.get(key) {
            Some(cell) => cell.clone(),
            None => cells.entry(key.clone()).or_default().clone(),
        }
    }

    /// The sum over all labels of a metric.
    pub fn sum(&self, name: &str) -> u64 {
        let cells = self.cells();
        cells.iter().filter(|(key, _)| key.name() == name).map(|(_, cell)| cell.0.load(Relaxed)).sum()
    }

    /// The value with this label.
    pub fn labelled(&self, name: &str, label: &str) -> u64 {
        let cells = self.cells();
        let has = |key: &Key| key.name() == name && key.labels().any(|own| own.value() == label);
        cells.iter().filter(|(key, _)| has(key)).map(|(_, cell)| cell.0.load(Relaxed)).sum()
    }

    /// All of them by name, labels summed up.
    pub fn all(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (key, cell) in self.cells().iter() {
            *all.entry(key.name().to_owned()).or_default() += cell.0.load(Relaxed);
        }
        all
    }
}

impl CounterFn for Cell {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}

/// Gauges of the product count things: whole numbers, which a crash may leave where they were.
impl GaugeFn for Cell {
    fn increment(&self, by: f64) {
        self.0.store(self.0.load(Relaxed).saturating_add(by as u64), Relaxed);
    }
    fn decrement(&self, by: f64) {
        self.0.store(self.0.load(Relaxed).saturating_sub(by as u64), Relaxed);
    }
    /// Those that are set are peaks, each node's own: the highest of all counts.
    fn set(&self, value: f64) {
        self.0.fetch_max(value as u64, Relaxed);
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_summed_over_their_labels() {
        let gauges = Gauges::default();
        metrics::with_local_recorder(&gauges, || {
            metrics::counter!("reads", "of" => "log").increment(3);
            metrics::counter!("reads", "of" => "head").increment(4);
            metrics::gauge!("open").increment(2.0);
            metrics::gauge!("open").decrement(1.0);
            metrics::gauge!("peak").set(9.0);
            metrics::gauge!("peak").set(4.0);
        });
        assert_eq!((gauges.sum("reads"), gauges.labelled("reads", "log"), gauges.sum("open")), (7, 3, 1));
        let all = [("open".into(), 1), ("peak".into(), 9), ("reads".into(), 7)];
        assert_eq!(gauges.all().into_iter().collect::<Vec<_>>(), all);
    }
}
