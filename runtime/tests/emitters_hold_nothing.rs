//! An item that emits and waits for its reader holds nothing that others need meanwhile: the reader may wait for
//! another item, or for another call. Its place of a shared throttle is another's until it goes on; so is its runspace
//! of a pool; and where its thread cannot be another's, it goes on however far it is ahead.

mod support;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use runspace::{
    ItemContext, Results, Retry, Runspace, RunspacePool, Throttle, foreach_parallel, invoke,
};
use support::{until, within};

/// More outputs than an item may be ahead of its reader in any of these calls.
const MANY: u32 = 600;

fn pool(max: usize) -> RunspacePool {
    RunspacePool::builder().max(max).open().unwrap()
}

#[cfg(feature = "rayon")]
fn rayon(threads: usize) -> Arc<::rayon::ThreadPool> {
    let pool = ::rayon::ThreadPoolBuilder::new().num_threads(threads);
    Arc::new(pool.build().unwrap())
}

/// Emits, and counts the outputs that it is about to emit.
fn emit(job: &ItemContext<'_, u32>, count: u32, about: &AtomicUsize) {
    for n in 0..count {
        about.fetch_add(1, Ordering::SeqCst);
        job.emit(n);
    }
}

/// Every item of a later call stands in the middle of its outputs before the call begins that is read first.
macro_rules! read_another_first {
    ($later:expr, $first:expr) => {
        let about = Arc::new(AtomicUsize::new(0));
        let later: Results<u32> = $later(Arc::clone(&about));
        until(|| about.load(Ordering::SeqCst) >= 4);
        let first: Results<u32> = $first(Arc::new(AtomicUsize::new(0)));
        assert_eq!(first.count(), 6 * MANY as usize);
        assert_eq!(later.count(), 6 * MANY as usize);
    };
}

macro_rules! call {
    ([$($on:tt)*], $throttle:expr, $ordered:expr) => {
        |about: Arc<AtomicUsize>| {
            foreach_parallel!(
                0..6_u32,
                $($on)*
                throttle = $throttle,
                buffer = 0,
                ordered = $ordered,
                using(about),
                |_, job| emit(job, MANY, &about)
            )
        }
    };
}

macro_rules! shared_throttle {
    ($name:ident, $($on:tt)*) => {
        #[test]
        fn $name() {
            within(120, || {
                for ordered in [false, true] {
                    let shared = Throttle::shared(2);
                    let named = Throttle::named(concat!("emitters ", stringify!($name)), 1);
                    read_another_first!(
                        call!([$($on)*], &shared, ordered),
                        call!([$($on)*], &shared, ordered)
                    );
                    let about = Arc::new(AtomicUsize::new(0));
                    let later = call!([$($on)*], &named, ordered)(Arc::clone(&about));
                    until(|| about.load(Ordering::SeqCst) >= 2);
                    let first = call!([], &named, ordered)(Arc::default());
                    assert_eq!(first.count() + later.count(), 12 * MANY as usize);
                }
            });
        }
    };
}

shared_throttle!(
    on_threads_items_that_wait_for_their_reader_give_their_places_back,
    on = thread,
);
shared_throttle!(
    on_a_pool_items_that_wait_for_their_reader_give_their_places_back,
    on = pool(&pool(2)),
);
#[cfg(feature = "rayon")]
shared_throttle!(
    on_rayon_items_that_wait_for_their_reader_give_their_places_back,
    on = rayon(&rayon(2)),
);

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn in_processes_items_that_wait_for_their_reader_give_their_places_back() {
    within(120, || {
        for ordered in [false, true] {
            let throttle = Throttle::shared(1);
            let call = || -> Results<u32> {
                foreach_parallel!(
                    0..4_u32,
                    on = process,
                    throttle = &throttle,
                    buffer = 0,
                    ordered = ordered,
                    |_, job| (0..MANY).for_each(|n| job.emit(n))
                )
            };
            let mut later = call();
            assert_eq!(later.next(), Some(0), "an item has the place");
            assert_eq!(call().count() + later.count(), 8 * MANY as usize - 1);
        }
    });
}

/// Item 1 has the one place before item 0 can have it.
#[test]
fn the_next_item_in_order_gets_the_place_of_a_later_one() {
    within(120, || {
        for _ in 0..50 {
            let outputs = foreach_parallel!(
                0..6_u32,
                throttle = Throttle::shared(1),
                buffer = 0,
                ordered = true,
                |item, job| (0..20).for_each(|n| job.emit((item, n)))
            );
            outputs.throttle().set(4);
            let all = (0..6).flat_map(|item| (0..20).map(move |n| (item, n)));
            assert!(outputs.eq(all));
        }
    });
}

/// While item 0 waits for its next try, a later one takes the place.
#[test]
fn the_next_item_in_order_gets_the_place_for_another_try() {
    within(120, || {
        let tries = Arc::new(AtomicU32::new(0));
        let has_more = Arc::new(AtomicUsize::new(0));
        let (counts, waits_for) = (Arc::clone(&tries), Arc::clone(&has_more));
        let outputs = foreach_parallel!(
            0..3_u32,
            throttle = Throttle::shared(1),
            buffer = 0,
            ordered = true,
            retry = Retry::every(1, Duration::from_millis(20)),
            using(counts, waits_for),
            |item, job| {
                if item == 0 && counts.fetch_add(1, Ordering::SeqCst) == 0 {
                    until(|| waits_for.load(Ordering::SeqCst) == 1);
                    resume_unwind(Box::new("the first try fails"));
                }
                (0..20).for_each(|n| job.emit((item, n)));
            }
        );
        until(|| tries.load(Ordering::SeqCst) == 1);
        outputs.throttle().set(4);
        has_more.store(1, Ordering::SeqCst);
        let all = (0..3).flat_map(|item| (0..20).map(move |n| (item, n)));
        assert!(outputs.eq(all));
    });
}

/// Beside items that wait for their reader run no more than there are places.
#[test]
fn what_goes_on_has_a_place_again() {
    within(120, || {
        let throttle = Throttle::shared(2);
        let running = Arc::new(AtomicUsize::new(0));
        let call = || {
            let running = Arc::clone(&running);
            let results: Results<u32> = foreach_parallel!(
                0..20_u32,
                throttle = &throttle,
                buffer = 0,
                using(running),
                |item, job| {
                    for _ in 0..20 {
                        assert!(running.fetch_add(1, Ordering::SeqCst) < 2);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                        job.emit(item);
                    }
                }
            );
            results
        };
        let (one, two, three) = (call(), call(), call());
        let others = std::thread::spawn(move || two.count() + three.count());
        assert_eq!(one.count(), 400);
        assert_eq!(others.join().unwrap(), 800);
    });
}

/// An item that is stopped while it waits for a place leaves, as one does that waits for its reader.
#[test]
fn a_stop_reaches_what_waits_for_its_place_again() {
    within(60, || {
        let throttle = Throttle::shared(1);
        let about = Arc::new(AtomicUsize::new(0));
        let mut first = call!([], &throttle, false)(Arc::clone(&about));
        until(|| about.load(Ordering::SeqCst) >= 2);
        let token = runspace::StopToken::new();
        let held = Arc::new(AtomicUsize::new(0));
        let (inside, until_stop) = (Arc::clone(&held), token.clone());
        let other = foreach_parallel!([0], throttle = &throttle, using(inside, until_stop), |_| {
            inside.store(1, Ordering::SeqCst);
            until(|| until_stop.is_stopping());
        });
        until(|| held.load(Ordering::SeqCst) == 1);
        // There is room for the item now, and the other has its place.
        assert!(first.next().is_some());
        first.stop_token().stop();
        drop(first);
        token.stop();
        assert_eq!(other.count(), 1);
    });
}

macro_rules! threads_of_a_pool {
    ($name:ident, $($on:tt)*) => {
        mod $name {
            use super::*;

            #[test]
            fn another_call_gets_the_threads_of_items_that_wait_for_their_reader() {
                within(120, || {
                    for ordered in [false, true] {
                        let threads = super::$name(2);
                        read_another_first!(
                            call!([on = $($on)*(&threads),], 2, ordered),
                            call!([on = $($on)*(&threads),], 2, ordered)
                        );
                        read_another_first!(
                            call!([on = $($on)*(&threads),], 5, ordered),
                            call!([on = $($on)*(&threads),], 5, ordered)
                        );
                    }
                });
            }

            /// While it waits for its next try, all threads come to stand in items behind it, of which there are more
            /// to be than threads.
            #[test]
            fn the_next_item_in_order_is_tried_again() {
                within(120, || {
                    for pause in [1, 30] {
                        let threads = super::$name(2);
                        let tries = AtomicU32::new(0);
                        let outputs = foreach_parallel!(
                            0..8_u32,
                            on = $($on)*(&threads),
                            throttle = 5,
                            buffer = 4,
                            ordered = true,
                            retry = Retry::every(1, Duration::from_millis(pause)),
                            using(&tries),
                            |item, job| {
                                if item == 0 && tries.fetch_add(1, Ordering::SeqCst) == 0 {
                                    resume_unwind(Box::new("the first try fails"));
                                }
                                (0..20).for_each(|n| job.emit((item, n)));
                            }
                        );
                        let all = (0..8).flat_map(|item| (0..20).map(move |n| (item, n)));
                        assert!(outputs.eq(all));
                    }
                });
            }
        }
    };
}

threads_of_a_pool!(pool, pool);
#[cfg(feature = "rayon")]
threads_of_a_pool!(rayon, rayon);

/// The invocation of the next item in order is queued where later items, more than the pool has runspaces, stand in the
/// middle of their outputs.
#[test]
fn an_invocation_gets_the_runspace_of_an_item_that_waits_for_its_reader() {
    within(120, || {
        let pool = Arc::new(pool(2));
        let about = Arc::new(AtomicUsize::new(0));
        let (inside, count) = (Arc::clone(&pool), Arc::clone(&about));
        let outputs = foreach_parallel!(
            0..4_u32,
            on = pool(&pool),
            throttle = 3,
            buffer = 0,
            ordered = true,
            using(inside, count),
            |item, job| {
                if item > 0 {
                    return emit(job, 20, &count);
                }
                // Two others come to stand where they wait for the reader, one of them beside this waiting item.
                let elsewhere = Runspace::open().unwrap();
                let seen = Arc::clone(&count);
                let first = invoke!(&elsewhere, using(seen), {
                    until(|| seen.load(Ordering::SeqCst) >= 4);
                });
                first.end().unwrap();
                let second = invoke!(&*inside, { 7 });
                job.emit(second.end().unwrap());
            }
        );
        let numbers: Vec<u32> = outputs.collect();
        assert_eq!((numbers[0], numbers.len()), (7, 61));
    });
}

/// Workers of one call do not come to stand on more runspaces than the pool has, because its reader is slow.
#[test]
fn a_pool_lends_no_runspace_to_the_same_call() {
    within(120, || {
        let pool = pool(2);
        let running = Arc::new(AtomicUsize::new(0));
        let inside = Arc::clone(&running);
        let outputs = foreach_parallel!(
            0..40_u32,
            on = pool(&pool),
            throttle = 8,
            buffer = 0,
            ordered = true,
            using(inside),
            |item, job| {
                let others = inside.fetch_add(1, Ordering::SeqCst);
                (0..10).for_each(|_| job.emit((item, others)));
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        );
        let most = outputs.map(|it| it.1).max();
        assert!(most < Some(2), "{most:?} beside one");
    });
}

/// The one place of the throttle is in use by an item elsewhere that needs the pool, all of whose runspaces have workers
/// that wait for the place.
#[test]
fn a_worker_that_waits_for_a_place_lends_its_runspace() {
    within(120, || {
        let pool = Arc::new(pool(2));
        let throttle = Throttle::shared(1);
        let (inside, have_come) = (Arc::clone(&pool), Arc::new(AtomicUsize::new(0)));
        let (come, goes_on) = (Arc::clone(&have_come), Arc::new(AtomicUsize::new(0)));
        let go = Arc::clone(&goes_on);
        let holder = foreach_parallel!([0], throttle = &throttle, using(inside, come, go), |_| {
            come.store(1, Ordering::SeqCst);
            until(|| go.load(Ordering::SeqCst) == 1);
            invoke!(&*inside, { 5 }).end().unwrap()
        });
        until(|| have_come.load(Ordering::SeqCst) == 1);
        let waiting = foreach_parallel!(0..4, on = pool(&pool), throttle = &throttle, |n| n);
        waiting.throttle().set(2);
        until(|| pool.running() == 2);
        goes_on.store(1, Ordering::SeqCst);
        assert_eq!(holder.sum::<i32>(), 5);
        assert_eq!(waiting.sum::<i32>(), 6);
    });
}
