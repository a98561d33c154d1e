//! What a call counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::painter;
use super::text;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts the items of one call, which are shown until it is dropped or told that the call is over.
#[derive(Debug)]
pub(crate) struct Meter {
    gauge: Arc<Gauge>,
}

/// The counts of one call. Counting takes no lock and draws nothing: others look at it.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) title: String,
    total: Option<u64>,
    made: Instant,
    /// When the first item began, in nanoseconds since then; 0 for not yet.
    first: AtomicU64,
    good: AtomicU64,
    /// Those of them that were known without a run.
    known: AtomicU64,
    failed: AtomicU64,
    not_run: AtomicU64,
    is_over: AtomicBool,
}

/// A look at a gauge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) known: u64,
    pub(super) failed: u64,
    pub(super) not_run: u64,
    pub(super) total: Option<u64>,
    pub(super) elapsed: Duration,
    /// The time since the first item began.
    pub(super) working: Option<Duration>,
}

impl Meter {
    /// Begins to show the call as `title`.
    pub(crate) fn start(title: &str, total: Option<u64>) -> Self {
        let gauge = Arc::new(Gauge {
            title: text::title(title),
            total,
            made: Instant::now(),
            first: AtomicU64::new(0),
            good: AtomicU64::new(0),
            known: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            not_run: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        painter::show(Arc::clone(&gauge));
        Self { gauge }
    }

    /// An item begins.
    pub(crate) fn began(&self) {
        let Gauge { first, made, .. } = &*self.gauge;
        if first.load(Ordering::Relaxed) == 0 {
            let nanos = u64::try_from(made.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let relaxed = Ordering::Relaxed;
            // Another may have been first.
            let _ = first.compare_exchange(0, nanos.max(1), relaxed, relaxed);
        }
    }

    /// An item has ended well.
    pub(crate) fn good(&self) {
        self.gauge.good.fetch_add(1, Ordering::Relaxed);
    }

    /// An item had ended well before it was taken.
    pub(crate) fn known(&self) {
        self.gauge.known.fetch_add(1, Ordering::Relaxed);
        self.good();
    }

    /// An item has failed.
    pub(crate) fn failed(&self) {
        self.gauge.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// An item does not come to its end any more.
    pub(crate) fn not_run(&self) {
        self.gauge.not_run.fetch_add(1, Ordering::Relaxed);
    }

    /// The call is over: says what it came to, and takes its bar away.
    pub(crate) fn over(&self) {
        if !self.gauge.is_over.swap(true, Ordering::SeqCst) {
            painter::take_away(&self.gauge);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.over();
    }
}

impl Gauge {
    pub(super) fn read(&self) -> Counts {
        let elapsed = self.made.elapsed();
        let first = self.first.load(Ordering::Relaxed);
        let first = (first > 0).then(|| Duration::from_nanos(first));
        Counts {
            known: self.known.load(Ordering::Relaxed),
            good: self.good.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            not_run: self.not_run.load(Ordering::Relaxed),
            total: self.total,
            elapsed,
            working: first.map(|first| elapsed.saturating_sub(first)),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

impl Counts {
    pub(super) fn ended(&self) -> u64 {
        self.good + self.failed
    }

    /// Those that have ended, and how many there are, without what was known before: what took its time, and will.
    pub(super) fn run(&self) -> (u64, Option<u64>) {
        let without = |count: u64| count.saturating_sub(self.known);
        (without(self.ended()), self.whole().map(without))
    }

    /// How many items there are: as many as have ended, if the input has said less.
    pub(super) fn whole(&self) -> Option<u64> {
        self.total.map(|total| total.max(self.ended()))
    }
}
