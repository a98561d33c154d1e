//! Code of the user's that panics where the crate calls it: `Serialize`, `Deserialize`, `Drop`, `Clone`,
//! `Hash`, on either side, in items, values and captures, on every back end.
//!
//! Each time it is the item or the job concerned that fails, with the panic's message, and nothing else does.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use runspace::{
    Cause, ItemError, JobErrorKind, JobState, ProcessPool, Retry, RunspacePool, foreach_parallel,
    start_job,
};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use support::{until, within};

/// What of a [`Bomb`] panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum At {
    Never,
    Serialize,
    /// When half of it has been written already.
    SerializeHalf,
    Deserialize,
    Drop,
    Clone,
}

/// In which process it panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
enum Side {
    /// In the one that made the first copy.
    Home,
    /// In any other.
    Away,
}

/// A value that panics where it is told to.
#[derive(Debug)]
struct Bomb {
    n: u64,
    at: At,
    side: Side,
    home: u32,
    ballast: Vec<u8>,
    id: u64,
}

/// The bombs of this process that are alive, by their numbers: what leaks stays, and what is dropped twice is
/// not there.
static ALIVE: Mutex<Option<HashSet<u64>>> = Mutex::new(None);
static LAST: AtomicU64 = AtomicU64::new(0);
static TWICE: AtomicU64 = AtomicU64::new(0);

fn alive() -> usize {
    let alive = ALIVE.lock().unwrap_or_else(|it| it.into_inner());
    alive.as_ref().map_or(0, HashSet::len)
}

impl Bomb {
    fn with(n: u64, at: At, side: Side, home: u32, ballast: Vec<u8>) -> Self {
        let id = LAST.fetch_add(1, Ordering::Relaxed);
        let mut alive = ALIVE.lock().unwrap_or_else(|it| it.into_inner());
        alive.get_or_insert_default().insert(id);
        Self {
            n,
            at,
            side,
            home,
            ballast,
            id,
        }
    }

    fn new(n: u64, at: At, side: Side) -> Self {
        Self::with(n, at, side, std::process::id(), Vec::new())
    }

    /// A bomb among others.
    fn among(n: u64, at: At, side: Side) -> Self {
        Self::new(n, if n == BAD { at } else { At::Never }, side)
    }

    /// Long enough to be sent ahead of its value.
    fn heavy(mut self) -> Self {
        self.ballast = vec![7; 100_000];
        self
    }

    fn may_burst(&self, at: At) {
        let side = match std::process::id() == self.home {
            true => Side::Home,
            false => Side::Away,
        };
        if self.at == at && self.side == side && !std::thread::panicking() {
            panic!("bomb {}", self.n);
        }
    }
}

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.may_burst(At::Serialize);
        let mut it = to.serialize_struct("Bomb", 5)?;
        it.serialize_field("n", &self.n)?;
        it.serialize_field("ballast", &self.ballast)?;
        self.may_burst(At::SerializeHalf);
        it.serialize_field("at", &self.at)?;
        it.serialize_field("side", &self.side)?;
        it.serialize_field("home", &self.home)?;
        it.end()
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        struct Parts {
            n: u64,
            ballast: Vec<u8>,
            at: At,
            side: Side,
            home: u32,
        }
        let it = Parts::deserialize(from)?;
        let bomb = Self::with(it.n, it.at, it.side, it.home, it.ballast);
        bomb.may_burst(At::Deserialize);
        Ok(bomb)
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        self.may_burst(At::Clone);
        Self::with(self.n, self.at, self.side, self.home, self.ballast.clone())
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        let mut alive = ALIVE.lock().unwrap_or_else(|it| it.into_inner());
        if !alive.get_or_insert_default().remove(&self.id) {
            TWICE.fetch_add(1, Ordering::Relaxed);
        }
        drop(alive);
        self.may_burst(At::Drop);
    }
}

/// The index of the item that is a bomb, and how many there are.
const BAD: u64 = 17;
const ALL: u64 = 60;

/// The bombs of the process are counted, so one test at a time makes some.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|it| it.into_inner())
}

/// Every item has one outcome, one has failed by its bomb, and nothing is left of any.
fn assert_one_failed<R>(case: &str, outcomes: Vec<Result<R, ItemError>>) {
    assert_eq!(outcomes.len() as u64, ALL, "{case}: an outcome an item");
    let mut errors: Vec<ItemError> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(errors.len(), 1, "{case}: {errors:?}");
    let error = errors.remove(0);
    assert_eq!(error.index(), Some(BAD), "{case}: {error}");
    assert!(error.to_string().contains("bomb 17"), "{case}: {error}");
    let is_panic = matches!(error.cause(), Cause::Panicked(_) | Cause::DropPanicked(_));
    assert!(is_panic, "{case}: {error}");
    drop(error);
    assert_nothing_left(case);
}

fn assert_nothing_left(case: &str) {
    // A kept thread may still be on its way out of the call that it worked for.
    until(|| alive() == 0);
    assert_eq!(TWICE.load(Ordering::Relaxed), 0, "{case}: dropped twice");
}

/// What can go wrong with an item, or with the value that comes of it, that crosses to another process.
const CROSSING: [(At, Side); 7] = [
    (At::Serialize, Side::Home),
    (At::SerializeHalf, Side::Home),
    (At::Serialize, Side::Away),
    (At::SerializeHalf, Side::Away),
    (At::Deserialize, Side::Home),
    (At::Deserialize, Side::Away),
    (At::Drop, Side::Away),
];

#[test]
fn an_item_that_panics_on_its_way_to_a_process_fails_alone() {
    within(120, || {
        let _alone = alone();
        for (at, side) in CROSSING {
            // What an item's `Serialize` would do there, and its `Deserialize` here, nobody asks.
            let is_asked = !matches!(
                (at, side),
                (At::Serialize | At::SerializeHalf, Side::Away) | (At::Deserialize, Side::Home)
            );
            for heavy in [false, true] {
                let items = (0..ALL).map(move |n| {
                    let bomb = Bomb::among(n, at, side);
                    if heavy && n % 4 == 1 {
                        bomb.heavy()
                    } else {
                        bomb
                    }
                });
                let case = format!("{at:?} {side:?}, heavy: {heavy}");
                let results =
                    foreach_parallel!(items, on = process, throttle = 2, |bomb: Bomb| bomb.n);
                let outcomes: Vec<_> = results.outcomes().collect();
                if is_asked {
                    assert_one_failed(&case, outcomes);
                } else {
                    assert!(outcomes.iter().all(Result::is_ok), "{case}");
                    drop(outcomes);
                    assert_nothing_left(&case);
                }
            }
        }
        still_works();
    });
}

#[test]
fn an_item_whose_copy_here_panics_when_dropped_fails_alone() {
    within(60, || {
        let _alone = alone();
        let items = (0..ALL).map(|n| Bomb::among(n, At::Drop, Side::Home));
        let results = foreach_parallel!(items, on = process, throttle = 2, |bomb: Bomb| bomb.n);
        assert_one_failed("one value", results.outcomes().collect());
        let items = (0..ALL).map(|n| Bomb::among(n, At::Drop, Side::Home));
        let results = foreach_parallel!(items, on = process, throttle = 2, |bomb: Bomb, job| {
            job.emit(bomb.n);
        });
        let (good, bad): (Vec<_>, Vec<_>) = results.outcomes().partition(Result::is_ok);
        assert_eq!((good.len() as u64, bad.len()), (ALL, 1));
        assert!(bad[0].as_ref().unwrap_err().to_string().contains("bomb 17"));
        drop((good, bad));
        assert_nothing_left("outputs");
        still_works();
    });
}

#[test]
fn a_value_that_panics_on_its_way_back_fails_alone() {
    within(120, || {
        let _alone = alone();
        let home = std::process::id();
        for (at, side) in CROSSING {
            if matches!((at, side), (At::Serialize | At::SerializeHalf, Side::Home))
                || (at, side) == (At::Deserialize, Side::Away)
            {
                continue;
            }
            for heavy in [false, true] {
                let case = format!("{at:?} {side:?}, heavy: {heavy}");
                let results = foreach_parallel!(
                    0..ALL,
                    on = process,
                    throttle = 2,
                    using(at, side, home, heavy),
                    |n| {
                        let at = if n == BAD { at } else { At::Never };
                        let bomb = Bomb::with(n, at, side, home, Vec::new());
                        if heavy && n % 4 == 1 {
                            bomb.heavy()
                        } else {
                            bomb
                        }
                    }
                );
                assert_one_failed(&case, results.outcomes().collect());
                let results = foreach_parallel!(
                    0..ALL,
                    on = process,
                    throttle = 2,
                    ordered = true,
                    using(at, side, home, heavy),
                    |n, job| {
                        let at = if n == BAD { at } else { At::Never };
                        let bomb = Bomb::with(n, at, side, home, Vec::new());
                        job.emit(if heavy && n % 4 == 1 {
                            bomb.heavy()
                        } else {
                            bomb
                        });
                    }
                );
                let outcomes: Vec<_> = results.outcomes().collect();
                let failed = outcomes.iter().filter(|it| it.is_err()).count();
                assert_eq!(failed, 1, "{case}, emitted");
                drop(outcomes);
                assert_nothing_left(&case);
            }
        }
        still_works();
    });
}

#[test]
fn a_failure_says_whose_code_panicked_and_is_tried_again() {
    within(60, || {
        let _alone = alone();
        let home = std::process::id();
        let results = foreach_parallel!([()], on = process, retry = 1, using(home), |()| {
            let at = match runspace::attempt() {
                1 => At::SerializeHalf,
                _ => At::Never,
            };
            Bomb::with(3, at, Side::Away, home, vec![1; 70_000])
        });
        let numbers: Vec<u64> = results.map(|bomb| bomb.n).collect();
        assert_eq!(numbers, [3], "the second try is good");
        let results = foreach_parallel!([()], on = process, using(home), |()| {
            Bomb::with(3, At::Serialize, Side::Away, home, Vec::new())
        });
        let error = results.outcomes().next().unwrap().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("bomb 3") && text.contains("`Serialize` of the output"),
            "{text}"
        );
        assert!(text.contains("Bomb"), "{text}");
        let item = Bomb::new(3, At::Serialize, Side::Home);
        let results = foreach_parallel!(
            [item],
            on = process,
            retry = Retry::times(2),
            |bomb: Bomb| bomb.n
        );
        let error = results.outcomes().next().unwrap().unwrap_err();
        assert_eq!(error.attempt(), 3, "{error}");
        assert!(
            error.to_string().contains("`Serialize` of the item"),
            "{error}"
        );
        drop(error);
        assert_nothing_left("tried again");
    });
}

/// The pool and later calls work as ever.
fn still_works() {
    let results = foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| n);
    assert_eq!(results.sum::<u64>(), 4950);
    let job = start_job!({ 7 });
    assert_eq!(job.join().unwrap(), 7);
}

macro_rules! in_this_process {
    ($name:ident, $pool:ident, on = $($on:tt)*) => {
        #[test]
        fn $name() {
            within(60, || {
                let _alone = alone();
                let $pool = RunspacePool::builder().max(3).open().unwrap();
                // In the body.
                let items = (0..ALL).map(|n| Bomb::among(n, At::Drop, Side::Home));
                let results = foreach_parallel!(items, on = $($on)*, |bomb: Bomb| bomb.n);
                assert_one_failed("in the body", results.outcomes().collect());
                // The copy for another try that does not come.
                let items = (0..ALL).map(|n| Bomb::among(n, At::Drop, Side::Home));
                let results = foreach_parallel!(items, on = $($on)*, retry = 1, |bomb: Bomb| {
                    let n = bomb.n;
                    std::mem::forget(bomb);
                    n
                });
                let outcomes: Vec<_> = results.outcomes().collect();
                let failed: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
                assert_eq!((outcomes.len() as u64, failed.len()), (ALL, 1));
                assert!(failed[0].to_string().contains("bomb 17"), "{}", failed[0]);
                drop(outcomes);
                *ALIVE.lock().unwrap_or_else(|it| it.into_inner()) = None;
                // The copy itself cannot be made.
                let items = (0..ALL).map(|n| Bomb::among(n, At::Clone, Side::Home));
                let results = foreach_parallel!(items, on = $($on)*, retry = 1, |bomb: Bomb| bomb.n);
                assert_one_failed("a copy", results.outcomes().collect());
                // The payload of a panic is a value of the user's, too.
                let results = foreach_parallel!(0..ALL, on = $($on)*, |n| {
                    if n == BAD {
                        panic_any(Bomb::new(n, At::Drop, Side::Home));
                    }
                });
                let outcomes: Vec<_> = results.outcomes().collect();
                assert_eq!(outcomes.iter().filter(|it| it.is_err()).count(), 1);
                assert_eq!(outcomes.len() as u64, ALL);
                drop(outcomes);
                assert_nothing_left("a payload");
                assert_eq!(foreach_parallel!(0..10, on = $($on)*, |n: u64| n).sum::<u64>(), 45);
            });
        }
    };
}

in_this_process!(on_threads_an_item_fails_alone, _pool, on = thread);
#[cfg(feature = "rayon")]
in_this_process!(on_rayon_an_item_fails_alone, _pool, on = rayon);
in_this_process!(on_a_pool_an_item_fails_alone, pool, on = pool(&pool));
in_this_process!(in_sequence_an_item_fails_alone, _pool, on = sequential);

/// The copy for another try goes on the thread that watches over time.
#[test]
fn a_copy_that_panics_on_the_thread_that_watches_harms_nobody() {
    within(60, || {
        let _alone = alone();
        let items = (0..8_u64).map(|n| Bomb::new(n, At::Drop, Side::Home));
        let results = foreach_parallel!(
            items,
            throttle = 4,
            retry = 3,
            timeout = Duration::from_millis(60_000),
            deadline = Duration::from_millis(100),
            |bomb: Bomb| {
                std::mem::forget(bomb);
                until(runspace::stopping);
            }
        );
        let outcomes: Vec<_> = results.outcomes().collect();
        // And one that says that the input was not taken to its end.
        assert!(outcomes.len() >= 4, "{outcomes:?}");
        let mut indices: Vec<_> = outcomes
            .iter()
            .filter_map(|it| it.as_ref().err()?.index())
            .collect();
        let all = indices.len();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), all, "one end for each");
        drop(outcomes);
        *ALIVE.lock().unwrap_or_else(|it| it.into_inner()) = None;
        assert_eq!(foreach_parallel!(0..10_u64, |n| n).sum::<u64>(), 45);
    });
}

#[test]
fn a_process_job_fails_with_the_message_of_what_panicked() {
    within(120, || {
        let _alone = alone();
        let home = std::process::id();
        for (at, side) in [
            (At::Serialize, Side::Away),
            (At::SerializeHalf, Side::Away),
            (At::Deserialize, Side::Home),
            (At::Drop, Side::Away),
        ] {
            let job = start_job!(using(at, side, home), {
                Bomb::with(17, at, side, home, Vec::new())
            });
            job.wait();
            let case = format!("the value, {at:?} {side:?}");
            assert_eq!(job.state(), JobState::Failed, "{case}");
            drop(job.receive());
            let error = job.join().map(drop).unwrap_err();
            assert!(
                matches!(error.kind(), JobErrorKind::Panicked(_)),
                "{case}: {error}"
            );
            assert!(error.to_string().contains("bomb 17"), "{case}: {error}");
            drop(error);
            assert_nothing_left(&case);
        }
        for (at, side) in [
            (At::Serialize, Side::Home),
            (At::SerializeHalf, Side::Home),
            (At::Deserialize, Side::Away),
            (At::Drop, Side::Away),
            (At::Drop, Side::Home),
        ] {
            let bomb = Bomb::new(17, at, side);
            let job = start_job!(using(bomb), { bomb.n });
            job.wait();
            let case = format!("a capture, {at:?} {side:?}");
            assert_eq!(job.state(), JobState::Failed, "{case}");
            drop(job.receive());
            let error = job.join().map(drop).unwrap_err();
            assert!(
                matches!(error.kind(), JobErrorKind::Panicked(_)),
                "{case}: {error}"
            );
            assert!(error.to_string().contains("bomb 17"), "{case}: {error}");
            drop(error);
            assert_nothing_left(&case);
        }
        still_works();
    });
}

#[test]
fn what_a_call_has_captured_fails_the_call_in_words() {
    within(60, || {
        let _alone = alone();
        for (at, side) in [
            (At::Serialize, Side::Home),
            (At::SerializeHalf, Side::Home),
            (At::Deserialize, Side::Away),
        ] {
            let bomb = Bomb::new(17, at, side);
            let results = foreach_parallel!(0..4_u64, on = process, using(bomb), |n| n + bomb.n);
            let outcomes: Vec<_> = results.outcomes().collect();
            let words = outcomes
                .iter()
                .filter_map(|it| it.as_ref().err())
                .filter(|it| it.to_string().contains("bomb 17"))
                .count();
            assert!(words >= 1, "{at:?}: {outcomes:?}");
            assert!(outcomes.iter().all(Result::is_err));
            drop(outcomes);
            assert_nothing_left("captures");
        }
        still_works();
    });
}

/// The copy that is here is dropped before the call begins: nothing of a call that has no results is left to work, and
/// the one place of the pool is free for the next one.
#[test]
fn captures_that_panic_when_dropped_leave_no_call_behind() {
    within(60, || {
        let _alone = alone();
        let pool = ProcessPool::builder().workers(1).build();
        for _ in 0..3 {
            let items: Vec<_> = (0..64)
                .map(|n| Bomb::among(n, At::Never, Side::Home))
                .collect();
            let bomb = Bomb::new(17, At::Drop, Side::Home);
            let made = catch_unwind(AssertUnwindSafe(|| {
                foreach_parallel!(items, on = process(&pool), using(bomb), |it: Bomb, out| (0
                    ..1000_u64)
                    .for_each(|n| out.emit(n + it.n + bomb.n)))
            }));
            assert!(made.is_err(), "the panic is that of the statement");
            assert_nothing_left("captures that are dropped");
        }
        let sum = foreach_parallel!(0..10_u64, on = process(&pool), |n| n).sum::<u64>();
        assert_eq!(sum, 45);
    });
}

#[test]
fn a_failure_in_one_stage_reads_as_that_in_the_next() {
    within(60, || {
        let first = foreach_parallel!(0..60_u64, name = "two", ordered = true, |n| {
            assert!(n != 50, "fifty");
            n
        });
        let second = foreach_parallel!(first, name = "three", ordered = true, |n| n);
        let third = foreach_parallel!(second, name = "four", ordered = true, |n| n);
        let error = third.outcomes().find_map(Result::err).unwrap();
        let text = error.to_string();
        assert!(
            text.contains("item 50 of `two`") && text.contains("panicked: fifty"),
            "{text}"
        );
        assert!(!text.contains("the input panicked"), "{text}");
        // A failure that is no panic is told in the same way.
        let first = foreach_parallel!(
            0..3_u64,
            name = "slow",
            timeout = Duration::from_millis(20),
            |n| {
                if n == 1 {
                    until(runspace::stopping);
                }
                n
            }
        );
        let second = foreach_parallel!(first, name = "next", |n| n);
        let text = second.outcomes().find_map(Result::err).unwrap().to_string();
        assert!(
            text.contains("item 1 of `slow`") && text.contains("timeout"),
            "{text}"
        );
        // An input that is no call's is blamed itself, also on a thread that has seen a call fail before.
        let input = (0..9_u64).inspect(|n| assert!(*n != 4, "fifty"));
        let text = foreach_parallel!(input, |n| n)
            .outcomes()
            .find_map(Result::err)
            .unwrap()
            .to_string();
        assert!(text.contains("the input panicked: fifty"), "{text}");
    });
}

/// An item that takes its time while it is written.
struct Slow(u64);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0 % 10 == 3 {
            std::thread::sleep(Duration::from_millis(600));
        }
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Slow {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        u64::deserialize(from).map(Slow)
    }
}

#[test]
fn the_time_of_an_item_begins_where_it_is_written() {
    within(60, || {
        let results = foreach_parallel!(
            (0..20).map(Slow),
            on = process,
            throttle = 2,
            timeout = Duration::from_millis(500),
            |slow: Slow| slow.0
        );
        let outcomes: Vec<_> = results.outcomes().collect();
        assert_eq!(outcomes.len(), 20);
        let late: Vec<&ItemError> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!(late.len(), 2, "{outcomes:?}");
        for error in late {
            assert!(matches!(error.cause(), Cause::TimedOut(_)), "{error}");
            assert_eq!(error.index().unwrap() % 10, 3);
        }
    });
}

#[test]
fn results_that_nobody_reads_are_dropped_one_by_one() {
    within(60, || {
        let _alone = alone();
        let raised = catch_unwind(AssertUnwindSafe(|| {
            foreach_parallel!(0..ALL, |n| Bomb::among(n, At::Drop, Side::Home));
        }));
        assert!(
            raised.is_err(),
            "a bare statement raises the panic of a value"
        );
        drop(raised);
        assert_nothing_left("a bare statement");
        let mut results =
            foreach_parallel!(0..ALL, buffer = 60, |n| Bomb::new(n, At::Drop, Side::Home));
        std::mem::forget(results.next());
        drop(results);
        *ALIVE.lock().unwrap_or_else(|it| it.into_inner()) = None;
        assert_eq!(TWICE.load(Ordering::Relaxed), 0);
    });
}

/// A value whose destructor panics whatever happens: two of them in one piece of drop glue end the process.
struct Mean;

impl Drop for Mean {
    fn drop(&mut self) {
        panic!("mean");
    }
}

#[test]
fn destructors_that_panic_one_after_the_other_do_not_meet() {
    within(60, || {
        // What came before its turn.
        let started = Arc::new(AtomicU64::new(0));
        let seen = started.clone();
        let mut results = foreach_parallel!(
            0..8_u64,
            throttle = 4,
            buffer = 8,
            ordered = true,
            using(started),
            |n| {
                started.fetch_add(1, Ordering::SeqCst);
                if n == 1 {
                    until(runspace::stopping);
                }
                Mean
            }
        );
        std::mem::forget(results.next().unwrap());
        until(|| seen.load(Ordering::SeqCst) == 8);
        drop(results);
        // Outputs of items whose turn has not come.
        let mut results = foreach_parallel!(0..4_u64, throttle = 4, ordered = true, |n, job| {
            if n == 1 {
                until(runspace::stopping);
            }
            (0..3).for_each(|_| job.emit(Mean));
        });
        std::mem::forget(results.next().unwrap());
        drop(results);
        // A finished call.
        let numbers = [0, 1, 2, 3];
        let mut results = foreach_parallel!(&numbers, |_n| Mean);
        std::mem::forget(results.next().unwrap());
        drop(results);
        // A job's outputs that nobody receives.
        let job = foreach_parallel!(0..4_u64, |_n| Mean).into_job();
        job.wait();
        assert_eq!(job.state(), JobState::Completed);
        drop(job);
        let job = runspace::start_thread_job!(|job| (0..3).for_each(|_| job.emit(Mean)));
        std::mem::forget(job.join().unwrap());
        // State that a runspace is left with, and a value that nobody fetches.
        let runspace = runspace::Runspace::open().unwrap();
        for _ in 0..2 {
            let made = runspace::invoke!(&runspace, |rs| {
                std::mem::forget(rs.set_state((Mean, 1_u8)));
                std::mem::forget(rs.set_state((Mean, 1_u16)));
                Mean
            });
            made.wait();
        }
        runspace.close();
        assert_eq!(foreach_parallel!(0..10_u64, |n| n).sum::<u64>(), 45);
    });
}

/// An input of which one part panics.
struct Input {
    next: u64,
    breaks: &'static str,
}

impl Iterator for Input {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.next += 1;
        assert!(self.breaks != "next" || self.next != 5, "bad next");
        (self.next <= 9).then_some(self.next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        assert!(self.breaks != "size_hint" || self.next < 5, "bad size_hint");
        (0, None)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        assert!(
            self.breaks != "drop" || std::thread::panicking(),
            "bad drop"
        );
    }
}

macro_rules! inputs {
    ($name:ident, $pool:ident, on = $($on:tt)*) => {
        #[test]
        fn $name() {
            within(60, || {
                let $pool = RunspacePool::builder().max(3).open().unwrap();
                for (breaks, good) in [("next", 4), ("size_hint", 5), ("drop", 9)] {
                    let input = Input { next: 0, breaks };
                    let results = foreach_parallel!(input, on = $($on)*, |n| n);
                    let (values, errors): (Vec<_>, Vec<_>) = results.outcomes().partition(Result::is_ok);
                    assert_eq!((values.len(), errors.len()), (good, 1), "{breaks}");
                    let text = errors[0].as_ref().unwrap_err().to_string();
                    assert!(text.contains(&format!("bad {breaks}")), "{text}");
                }
                let results = foreach_parallel!(
                    0..20_u64,
                    on = $($on)*,
                    retry = 1,
                    retry_if = |result| {
                        assert!(!matches!(result, Err(3)), "bad predicate");
                        false
                    },
                    |n| if n % 2 == 1 { Err(n) } else { Ok(n) }
                );
                let outcomes: Vec<_> = results.outcomes().collect();
                assert_eq!(outcomes.len(), 20);
                let errors: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
                assert_eq!(errors.len(), 1);
                assert_eq!(errors[0].index(), Some(3));
                assert!(errors[0].to_string().contains("bad predicate"), "{}", errors[0]);
            });
        }
    };
}

inputs!(on_threads_an_input_breaks_in_words, _pool, on = thread);
#[cfg(feature = "rayon")]
inputs!(on_rayon_an_input_breaks_in_words, _pool, on = rayon);
inputs!(on_a_pool_an_input_breaks_in_words, pool, on = pool(&pool));
inputs!(in_sequence_an_input_breaks_in_words, _pool, on = sequential);
inputs!(on_processes_an_input_breaks_in_words, _pool, on = process);

/// A key that panics when it is hashed or compared.
#[derive(Clone, Copy)]
struct Key(u64, bool);

/// Keys that tell it to do so.
static BAD_KEYS: AtomicU64 = AtomicU64::new(0);

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, to: &mut H) {
        assert!(!self.1 || BAD_KEYS.load(Ordering::SeqCst) != 1, "bad hash");
        to.write_u64(0); // all in one bucket
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let is_bad = self.1 || other.1;
        assert!(!is_bad || BAD_KEYS.load(Ordering::SeqCst) != 2, "bad eq");
        self.0 == other.0
    }
}

impl Eq for Key {}

#[test]
fn a_key_that_panics_leaves_its_dictionary_in_order() {
    within(60, || {
        let dictionary = runspace::collections::Dictionary::new();
        (0..40).for_each(|n| assert!(dictionary.try_add(Key(n, false), n).is_ok()));
        for bad in [1, 2] {
            BAD_KEYS.store(bad, Ordering::SeqCst);
            let results = foreach_parallel!(0..20_u64, using(dictionary.clone()), |n| {
                match n % 4 {
                    0 => dictionary.try_get(&Key(n, n == 8)),
                    1 => Some(u64::from(dictionary.insert(Key(n, n == 9), n))),
                    2 => dictionary.try_remove(&Key(100 + n, n == 10)),
                    _ => Some(dictionary.get_or_add(Key(n, n == 11), |_| n)),
                }
            });
            let failed = results.outcomes().filter(Result::is_err).count();
            assert_eq!(failed, 4, "{bad}");
            BAD_KEYS.store(0, Ordering::SeqCst);
            assert_eq!(dictionary.len(), 40);
            (0..40).for_each(|n| assert!(dictionary.try_get(&Key(n, true)).is_some()));
        }
    });
}

#[cfg(feature = "cluster")]
mod on_a_cluster {
    use super::*;
    use crate::support::nats::Server;

    /// In the worker itself, and in a process of the worker's for each item.
    #[test]
    fn a_value_that_panics_on_its_way_fails_alone() {
        within(240, || {
            let _alone = alone();
            let Some(server) = Server::start() else {
                return;
            };
            let worker = server.worker(2);
            for isolate in [false, true] {
                let cluster = server.builder().isolate(isolate).connect().unwrap();
                for (at, side) in [
                    (At::Serialize, Side::Home),
                    (At::SerializeHalf, Side::Home),
                    (At::Deserialize, Side::Away),
                    (At::Drop, Side::Away),
                    (At::Drop, Side::Home),
                ] {
                    let items = (0..ALL).map(move |n| Bomb::among(n, at, side));
                    let results =
                        foreach_parallel!(items, on = cluster(&cluster), |bomb: Bomb| bomb.n);
                    let case = format!("an item, {at:?} {side:?}, isolate: {isolate}");
                    assert_one_failed(&case, results.outcomes().collect());
                }
                let home = std::process::id();
                for (at, side) in [
                    (At::Serialize, Side::Away),
                    (At::SerializeHalf, Side::Away),
                    (At::Drop, Side::Away),
                    (At::Deserialize, Side::Home),
                ] {
                    let results = foreach_parallel!(
                        0..ALL,
                        on = cluster(&cluster),
                        using(at, side, home),
                        |n| {
                            let at = if n == BAD { at } else { At::Never };
                            Bomb::with(n, at, side, home, Vec::new())
                        }
                    );
                    let case = format!("a value, {at:?} {side:?}, isolate: {isolate}");
                    assert_one_failed(&case, results.outcomes().collect());
                    let results = foreach_parallel!(
                        0..ALL,
                        on = cluster(&cluster),
                        using(at, side, home),
                        |n, job| {
                            let at = if n == BAD { at } else { At::Never };
                            job.emit(Bomb::with(n, at, side, home, Vec::new()));
                        }
                    );
                    let outcomes: Vec<_> = results.outcomes().collect();
                    let failed: Vec<_> =
                        outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
                    assert_eq!(failed.len(), 1, "{case}, emitted: {failed:?}");
                    assert!(
                        failed[0].to_string().contains("bomb 17"),
                        "{case}: {}",
                        failed[0]
                    );
                    drop(outcomes);
                    assert_nothing_left(&case);
                }
                let pids = foreach_parallel!(0..4_u64, on = cluster(&cluster), |_n| ());
                assert_eq!(pids.count(), 4);
            }
            drop(worker);
        });
    }
}

#[cfg(feature = "tracing")]
mod subscribers {
    use super::*;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Panics at what it is told to.
    struct Broken(&'static str);

    impl Broken {
        fn at(&self, name: &str) {
            assert!(self.0 != name || std::thread::panicking(), "no {name}");
        }
    }

    impl Subscriber for Broken {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            self.at("enabled");
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            self.at("new_span");
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {
            self.at("record");
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.at("event");
        }

        fn enter(&self, _: &Id) {
            self.at("enter");
        }

        fn exit(&self, _: &Id) {
            self.at("exit");
        }

        fn clone_span(&self, id: &Id) -> Id {
            self.at("clone_span");
            id.clone()
        }

        fn try_close(&self, _: Id) -> bool {
            self.at("try_close");
            true
        }
    }

    #[test]
    fn one_that_panics_changes_no_outcome() {
        within(120, || {
            for at in [
                "new_span",
                "record",
                "event",
                "enter",
                "exit",
                "clone_span",
                "try_close",
            ] {
                tracing::subscriber::with_default(Broken(at), || {
                    assert_eq!(
                        foreach_parallel!(0..20_u64, |n| n).sum::<u64>(),
                        190,
                        "{at}"
                    );
                    let results = foreach_parallel!(0..20_u64, on = process, throttle = 2, |n| n);
                    assert_eq!(results.sum::<u64>(), 190, "{at}");
                    assert_eq!(
                        runspace::start_thread_job!({ 1 }).join().unwrap(),
                        1,
                        "{at}"
                    );
                    assert_eq!(start_job!({ 1 }).join().unwrap(), 1, "{at}");
                    let runspace = runspace::Runspace::open().unwrap();
                    assert_eq!(
                        runspace::invoke!(&runspace, { 1 }).end().unwrap(),
                        1,
                        "{at}"
                    );
                });
            }
        });
    }
}
