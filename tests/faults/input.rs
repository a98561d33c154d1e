//! Inputs that break or have no end, readers that leave, callbacks that panic, ends that meet.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, sleep};
use std::time::Duration;

use runspace::{
    Cause, ItemError, Job, JobQueue, JobState, RunspacePool, foreach_parallel, invoke, start_job,
    start_thread_job,
};

use crate::common::{MS, assert_has, fresh, pair, promptly, workers};
use crate::stage::{Row, note, pool, process, threads};
use crate::support::census::children;
use crate::support::{throughout, until};

pub const ROWS: &[Row] = &[
    Row {
        id: "A21",
        name: "input_panics",
        fault: "The input iterator panics at item 30",
        outcome: "The items before it finish; one error says so, after them; nothing hangs.",
        tests: &[threads(a21_threads), process(a21_process), pool(a21_pool)],
        elsewhere: FRESH,
    },
    Row {
        id: "A22",
        name: "endless_input",
        fault: "An input without an end, and one that takes its time; the reader stops",
        outcome: "What is taken and not yet read is at most `throttle + buffer`; when the drop returns, nothing runs any more.",
        tests: &[
            threads(a22_threads),
            process(a22_process),
            pool(a22_pool),
            pool(a22_narrow).named("pool_of_one"),
        ],
        elsewhere: FRESH,
    },
    Row {
        id: "A23",
        name: "dropped_half_way",
        fault: "The results are dropped half-way, on another thread, during a panic",
        outcome: "The drop comes back, and nothing is left.",
        tests: &[threads(a23_threads), process(a23_process), pool(a23_pool)],
        elsewhere: FRESH,
    },
    Row {
        id: "A24",
        name: "callback_panics",
        fault: "`retry_if` panics; the reader of the results does; the input does when it is dropped",
        outcome: "The item, the reader, the call is told; the next call runs as ever.",
        tests: &[threads(a24_threads), process(a24_process), pool(a24_pool)],
        elsewhere: FRESH,
    },
    Row {
        id: "A25",
        name: "ends_that_meet",
        fault: "Work is handed in while it is closed; four stops at once; a stop from a body and from a drop",
        outcome: "Bounded time, one outcome for each item or job.",
        tests: &[threads(a25_threads), process(a25_process), pool(a25_pool)],
        elsewhere: "",
    },
    Row {
        id: "A41",
        name: "one_in_twenty_cancelled",
        fault: "One in twenty of 5000 jobs is stopped at random; calls of 5000 items are stopped at random moments",
        outcome: "Each has exactly one end; none that was left alone is stopped.",
        tests: &[
            threads(a41_threads).within(120),
            threads(a41_items).named("threads_items").within(120),
            process(a41_process).within(120),
            pool(a41_pool).within(120),
        ],
        elsewhere: "On processes there are 200 jobs. An item of a call cannot be stopped alone: the call can.",
    },
];

const FRESH: &str = "In a process per job: a pool whose workers run one item each.";

macro_rules! input_panics {
    ($($on:tt)*) => {{
        for ordered in [false, true] {
            let input = (0_u64..).inspect(|n| assert!(*n != 30, "input broke"));
            let results = foreach_parallel!(input, on = $($on)*, throttle = 2, ordered = ordered, |n| n);
            let outcomes: Vec<_> = promptly(|| results.outcomes().collect());
            assert_eq!(outcomes.len(), 31);
            let last = outcomes.last().unwrap().as_ref().unwrap_err();
            assert_eq!(last.index(), Some(30));
            assert!(matches!(last.cause(), Cause::InputPanicked(_)), "{last}");
            assert_has(&last.to_string(), &["input broke"]);
        }
    }};
}

fn a21_threads() {
    input_panics!(thread);
    input_panics!(rayon);
}

fn a21_process() {
    input_panics!(process(&fresh()));
}

fn a21_pool() {
    input_panics!(process(&pair()));
}

macro_rules! endless_input {
    ($($on:tt)*) => {{
        let taken = Arc::new(AtomicI64::new(0));
        let seen = taken.clone();
        let input = (0_u64..).inspect(move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
        });
        let mut results = foreach_parallel!(input, on = $($on)*, throttle = 2, buffer = 6, |n| n);
        assert!(throughout(100 * MS, || seen.load(Ordering::SeqCst) <= 8));
        for read in 1..=20 {
            assert!(results.next().is_some());
            assert!(seen.load(Ordering::SeqCst) <= 8 + read);
        }
        promptly(|| drop(results));
        let taken = seen.load(Ordering::SeqCst);
        assert!(throughout(50 * MS, || seen.load(Ordering::SeqCst) == taken));
        // One that hesitates: the drop does not wait for it for ever.
        let slow = std::iter::repeat_with(|| sleep(300 * MS));
        let mut results = foreach_parallel!(slow, on = $($on)*, throttle = 2, |_n| ());
        assert!(results.next().is_some());
        promptly(|| drop(results));
    }};
}

fn a22_threads() {
    endless_input!(thread);
    endless_input!(rayon);
}

fn a22_process() {
    endless_input!(process(&fresh()));
}

fn a22_pool() {
    endless_input!(process(&pair()));
}

/// More places than workers, and a reader who waits for the item of one that waits for a worker.
fn a22_narrow() {
    for round in 0..40 {
        let pool = workers(1).build();
        let mut results = foreach_parallel!(
            0_u64..,
            on = process(&pool),
            throttle = 5,
            buffer = round % 4,
            ordered = true,
            |n| n
        );
        assert!(results.by_ref().take(100).eq(0..100));
    }
}

macro_rules! dropped_half_way {
    ($($on:tt)*) => {{
        let endless = || {
            foreach_parallel!(0_u64.., on = $($on)*, throttle = 2, |n| {
                while n % 5 == 3 && !runspace::stopping() {
                    sleep(MS);
                }
                vec![n; 100]
            })
        };
        for taken in [1, 2, 3] {
            let mut results = endless();
            for _ in 0..taken {
                assert!(results.next().is_some());
            }
            promptly(|| drop(results));
            let mut results = endless();
            assert!(results.next().is_some());
            promptly(|| thread::spawn(move || drop(results)).join().unwrap());
            let raised = promptly(|| {
                catch_unwind(AssertUnwindSafe(|| {
                    let mut results = endless();
                    assert!(results.next().is_some());
                    panic!("the reader");
                }))
            });
            assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"the reader"));
        }
    }};
}

fn a23_threads() {
    dropped_half_way!(thread);
    dropped_half_way!(rayon);
}

fn a23_process() {
    dropped_half_way!(process(&workers(2).max_items(1).build()));
    let job = start_job!(|job| {
        for n in 0_u64.. {
            job.emit(n);
            sleep(MS);
        }
    });
    assert!(job.iter().take(5).eq(0..5));
    job.stop();
    drop(job);
}

fn a23_pool() {
    dropped_half_way!(process(&pair()));
}

/// An iterator whose drop panics.
struct Spiked(std::ops::Range<u64>);

impl Iterator for Spiked {
    type Item = u64;
    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }
}

impl Drop for Spiked {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("spiked");
        }
    }
}

macro_rules! callback_panics {
    ($($on:tt)*) => {{
        let results = foreach_parallel!(
            0..20_u64, on = $($on)*, retry = 2,
            retry_if = |result| {
                assert!(*result != 7, "cannot judge seven");
                false
            },
            |n| n
        );
        let outcomes: Vec<Result<u64, ItemError>> = promptly(|| results.outcomes().collect());
        assert_eq!(outcomes.len(), 20);
        let errors: Vec<ItemError> = outcomes.into_iter().filter_map(Result::err).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].index(), Some(7), "{errors:?}");
        assert_has(&errors[0].to_string(), &["cannot judge seven"]);

        let raised = catch_unwind(AssertUnwindSafe(|| {
            foreach_parallel!(0_u64.., on = $($on)*, |n| n).for_each(|n| assert!(n < 20, "the sink"));
        }));
        assert!(raised.is_err());

        let results = foreach_parallel!(Spiked(0..10), on = $($on)*, |n| n);
        let outcomes: Vec<Result<u64, ItemError>> = promptly(|| results.outcomes().collect());
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (10, 1));
        let error = bad.into_iter().next().unwrap().unwrap_err();
        assert!(matches!(error.cause(), Cause::DropPanicked(_)), "{error}");
        assert_eq!(foreach_parallel!(0..10_u64, on = $($on)*, |n| n).sum::<u64>(), 45);
    }};
}

fn a24_threads() {
    callback_panics!(thread);
    callback_panics!(rayon);
}

fn a24_process() {
    callback_panics!(process(&fresh()));
}

fn a24_pool() {
    callback_panics!(process(&pair()));
}

/// Stops from four threads while the results are read: each item that was taken has one outcome.
macro_rules! four_stops {
    ($rounds:expr, $itself:expr, $($on:tt)*) => {{
        for round in 0..$rounds {
            let taken = Arc::new(AtomicU64::new(0));
            let seen = taken.clone();
            let input = (0_u64..).inspect(move |_| {
                taken.fetch_add(1, Ordering::SeqCst);
            });
            let results = foreach_parallel!(input, on = $($on)*, throttle = 3, using(round), |n| {
                if $itself && n == 40 && round % 2 == 0 {
                    runspace::stop_token().stop();
                }
                n
            });
            let token = results.stop_token();
            let meet = Arc::new(Barrier::new(4));
            let stoppers: Vec<_> = (0..4).map(|_| {
                let (token, meet) = (token.clone(), Arc::clone(&meet));
                thread::spawn(move || {
                    meet.wait();
                    sleep(Duration::from_micros(round * 300));
                    token.stop();
                })
            })
            .collect();
            let indices = results.outcomes().map(|outcome| match outcome {
                Ok(n) => n,
                Err(error) => {
                    assert!(error.is_stopped(), "{error}");
                    error.index().unwrap()
                }
            });
            let mut indices: Vec<u64> = promptly(|| indices.collect());
            indices.sort_unstable();
            let count = indices.len() as u64;
            assert!(indices.iter().copied().eq(0..count), "{indices:?}");
            // What the input gives after the stop was never taken.
            let given = seen.load(Ordering::SeqCst);
            assert!(given == count || given == count + 1, "{count} of {given}");
            for stopper in stoppers {
                stopper.join().unwrap();
            }
        }
    }};
}

fn a25_threads() {
    four_stops!(40, true, thread);
    four_stops!(40, true, rayon);
    // Invocations that meet the close of their pool.
    for round in 0..50 {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        let other = pool.clone();
        let closer = thread::spawn(move || {
            sleep(Duration::from_micros(round * 20));
            other.close();
        });
        let all: Vec<_> = (0..200_u64)
            .map(|n| invoke!(&pool, using(n), { n }))
            .collect();
        let ends = all.into_iter().map(|it| it.end());
        let (good, bad): (Vec<_>, Vec<_>) = promptly(|| ends.partition(Result::is_ok));
        assert_eq!(good.len() + bad.len(), 200);
        closer.join().unwrap();
        pool.close();
        assert!(invoke!(&pool, { 1 }).end().is_err());
    }
}

fn a25_process() {
    for round in 0..20_u64 {
        let job = start_job!(|job| {
            while !job.stopping() {
                sleep(MS);
            }
        });
        let _: &Job<()> = &job;
        thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    sleep(Duration::from_micros(round * 300));
                    job.stop();
                });
            }
        });
        assert_eq!(promptly(|| job.wait()), JobState::Stopped);
    }
}

fn a25_pool() {
    four_stops!(15, true, process(&pair()));
    // The pool goes while its calls run.
    for round in 0..10_u64 {
        let pool = pair();
        let results = foreach_parallel!(0..50_u64, on = process(&pool), |n| n);
        sleep(Duration::from_micros(round * 500));
        drop(pool);
        assert_eq!(promptly(|| results.sum::<u64>()), 1225);
    }
    until(|| children().len() <= 2);
}

/// A row of numbers that looks like one of chance.
fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Stops one in twenty of these jobs; answers how many of those that were left alone have their value.
fn stop_some(jobs: Vec<Job<u64>>) {
    let mut state = 20_261_126;
    let chosen: Vec<bool> = jobs
        .iter()
        .map(|_| random(&mut state).is_multiple_of(20))
        .collect();
    for (job, is_chosen) in jobs.iter().zip(&chosen) {
        if *is_chosen {
            job.stop();
        }
    }
    let mut stopped = 0;
    for (n, (job, is_chosen)) in (0..).zip(jobs.into_iter().zip(chosen)) {
        match job.join() {
            Ok(value) => assert_eq!(value, n),
            Err(error) => {
                assert!(error.is_stopped() && is_chosen, "{error}");
                stopped += 1;
            }
        }
    }
    note(format!("{stopped} stopped before their end"));
}

fn a41_threads() {
    let queue = JobQueue::new(3);
    let job = |n: u64| {
        start_thread_job!(queue = &queue, using(n), {
            sleep(Duration::from_micros(n % 7 * 20));
            n
        })
    };
    stop_some((0..5000).map(job).collect());
    assert_eq!((queue.running(), queue.queued()), (0, 0));
}

fn a41_process() {
    let job = |n: u64| {
        start_job!(using(n), {
            sleep(Duration::from_millis(n % 7));
            n
        })
    };
    for part in 0..4 {
        let _ = part;
        stop_some((0..50).map(job).collect());
    }
}

macro_rules! stopped_at_random {
    ($rounds:expr, $($on:tt)*) => {{
        let mut state = 20_261_126;
        for _ in 0..$rounds {
            let when = random(&mut state) % 5000;
            let results = foreach_parallel!(0..5000_u64, on = $($on)*, throttle = 3, buffer = 200, |n| n);
            let token = results.stop_token();
            let mut seen = vec![0_u8; 5000];
            for (read, outcome) in (0..).zip(results.outcomes()) {
                if read == when {
                    token.stop();
                }
                let index = outcome.as_ref().map_or_else(|it| it.index().unwrap(), |n| *n);
                assert!(outcome.is_ok() || read >= when, "{index} is stopped too early");
                seen[usize::try_from(index).unwrap()] += 1;
            }
            // In one piece from the first, each once.
            let taken = seen.iter().take_while(|it| **it == 1).count();
            assert!(seen[taken..].iter().all(|it| *it == 0) && taken as u64 >= when);
        }
    }};
}

fn a41_items() {
    stopped_at_random!(50, thread);
    stopped_at_random!(50, rayon);
}

fn a41_pool() {
    let pool = pair();
    stopped_at_random!(20, process(&pool));
}
