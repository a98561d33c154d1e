//! When a try of an item begins, and what is there then.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runspace::{ProcessPool, RunspacePool, Throttle, Timeout, foreach_parallel};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use support::within;

/// How many answers have been read in this process.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

/// Says what had been answered when it was written.
#[derive(Debug)]
struct Sent {
    answered: u64,
}

impl Serialize for Sent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ANSWERED.load(Ordering::SeqCst).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Sent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let answered = u64::deserialize(from)?;
        Ok(Self { answered })
    }
}

#[derive(Debug)]
struct Answer(u64);

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ANSWERED.fetch_add(1, Ordering::SeqCst);
        u64::deserialize(from).map(Self)
    }
}

/// Answers what had been answered when each item was sent.
type Call = fn(Vec<Sent>, &ProcessPool) -> Vec<u64>;

/// An item that is out of time takes its process along. What had been sent there behind it may have begun by then, and
/// would run twice.
#[test]
fn nothing_is_sent_behind_an_item_that_has_a_timeout() {
    within(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let calls: [Call; 2] = [
            |items, pool| {
                let results = foreach_parallel!(
                    items,
                    on = process(pool),
                    ordered = true,
                    timeout = Duration::from_secs(50),
                    |it: Sent| Answer(it.answered)
                );
                results.map(|it| it.0).collect()
            },
            |items, pool| {
                let results = foreach_parallel!(
                    items,
                    on = process(pool),
                    ordered = true,
                    timeout = Timeout::median(1000.0).at_least(Duration::from_secs(50)),
                    |it: Sent| Answer(it.answered)
                );
                results.map(|it| it.0).collect()
            },
        ];
        for call in calls {
            ANSWERED.store(0, Ordering::SeqCst);
            let items = (0..200).map(|_| Sent { answered: 0 }).collect();
            let answered = call(items, &pool);
            assert!(answered.iter().copied().eq(0..200), "{answered:?}");
        }
    });
}

/// Takes longer to copy than an item may run.
#[derive(Debug)]
struct Slow(u64);

impl Clone for Slow {
    fn clone(&self) -> Self {
        std::thread::sleep(Duration::from_millis(100));
        Self(self.0)
    }
}

/// A try that runs out of time while its item is being copied has its copy: there is another try.
macro_rules! slow_copies {
    ($name:ident, $pool:ident, on = $($on:tt)*) => {
        #[test]
        fn $name() {
            within(60, || {
                let $pool = RunspacePool::builder().max(1).open().unwrap();
                for _ in 0..3 {
                    let results = foreach_parallel!(
                        [Slow(7)],
                        on = $($on)*,
                        retry = 1,
                        timeout = Duration::from_millis(5),
                        |it: Slow| it.0
                    );
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert!(
                        matches!(outcomes[..], [Ok(7)]),
                        "at its next try there is nothing to copy: {outcomes:?}"
                    );
                }
                drop($pool);
            });
        }
    };
}

slow_copies!(on_threads_a_try_has_its_copy, _pool, on = thread);
slow_copies!(on_a_pool_a_try_has_its_copy, pool, on = pool(&pool));
slow_copies!(in_sequence_a_try_has_its_copy, _pool, on = sequential);
#[cfg(feature = "rayon")]
slow_copies!(on_rayon_a_try_has_its_copy, _pool, on = rayon);

/// The number with which a climbing throttle begins is one that the back end has.
#[test]
fn a_climbing_throttle_begins_with_no_more_than_its_back_end_has() {
    within(60, || {
        for _ in 0..20 {
            let running = AtomicU64::new(0);
            let most = AtomicU64::new(0);
            runspace::scope(|scope| {
                let results = foreach_parallel!(
                    0..8_u64,
                    within = scope,
                    on = sequential,
                    throttle = Throttle::auto_at_most(8),
                    init(seen = 0_u64),
                    |n| {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(300));
                        running.fetch_sub(1, Ordering::SeqCst);
                        seen += 1;
                        n
                    }
                );
                assert_eq!(results.count(), 8);
            });
            assert_eq!(most.into_inner(), 1);
        }
    });
}
