//! Every number and every duration that a user can give, at its limits: it is meant as what it says, or
//! refused in words. Each value is really used, by a call or a job, in a build that checks for overflow.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

use runspace::collections::{BlockingCollection, Dictionary, Stack, TakeError};
use runspace::{
    Cause, Halt, JobQueue, Plan, Retry, Runspace, RunspacePool, StopToken, Throttle, Timeout,
    foreach_parallel, invoke, start_thread_job,
};
use support::within;

const FAR: [Duration; 5] = [
    Duration::MAX,
    Duration::from_secs(u64::MAX),
    Duration::from_secs(u64::MAX / 2),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_nanos(u64::MAX),
];

/// The text of the panic that `act` ends with.
fn refusal<R>(act: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(act)) else {
        panic!("it was not refused");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

/// Fails unless the refusal is a sentence of this crate rather than an overflow.
#[track_caller]
fn assert_refused<R>(act: impl FnOnce() -> R) {
    let text = refusal(act);
    assert!(!text.contains("overflow") && text.len() > 20, "{text}");
}

/// A test for each back end, whose body makes its calls there by the macro `$make`. `$d` is a `$`.
macro_rules! on_each {
    (($d:tt) $name:ident, $make:ident, $body:block) => {
        mod $name {
            use super::*;
            on_each!(@ ($d) on_threads, (thread), $make, $body);
            on_each!(@ ($d) on_sequential, (sequential), $make, $body);
            #[cfg(feature = "rayon")]
            on_each!(@ ($d) on_rayon, (rayon), $make, $body);
            on_each!(@ ($d) on_a_pool, (pool(&two_runspaces())), $make, $body);
            on_each!(@ ($d) on_a_plan, (plan), $make, $body);
            #[cfg(all(target_os = "linux", feature = "process"))]
            on_each!(@ ($d) on_processes, (process), $make, $body);
            #[cfg(all(target_os = "linux", feature = "process"))]
            on_each!(@ ($d) on_a_process_pool, (process(&two_processes())), $make, $body);
        }
    };
    (@ ($d:tt) $name:ident, ($($on:tt)*), $make:ident, $body:block) => {
        #[test]
        fn $name() {
            macro_rules! $make {
                ($d items:expr, $d($d rest:tt)*) => {
                    foreach_parallel!($d items, on = $($on)*, $d($d rest)*)
                };
            }
            within(120, || $body);
        }
    };
}

fn two_runspaces() -> RunspacePool {
    static POOL: OnceLock<RunspacePool> = OnceLock::new();
    let pool = POOL.get_or_init(|| RunspacePool::builder().max(2).open().unwrap());
    pool.clone()
}

#[cfg(all(target_os = "linux", feature = "process"))]
fn two_processes() -> runspace::ProcessPool {
    static POOL: OnceLock<runspace::ProcessPool> = OnceLock::new();
    let pool = POOL.get_or_init(|| runspace::ProcessPool::builder().workers(2).build());
    pool.clone()
}

/// The numbers up to the largest, as values of `throttle`, `buffer` and their like.
const COUNTS: [usize; 5] = [1, 2, usize::MAX / 2, usize::MAX - 1, usize::MAX];

on_each!(($) throttles, run, {
    for throttle in COUNTS {
        let results = run!(0..40_u64, throttle = throttle, |n| n);
        let call = results.throttle();
        assert!(call.get() >= 1);
        assert_eq!(results.sum::<u64>(), 780, "throttle {throttle}");
        let ordered = run!(0..40_u64, throttle = throttle, ordered = true, |n| n);
        assert!(ordered.eq(0..40), "throttle {throttle}, in order");
        let emitted = run!(0..10_u64, throttle = throttle, |n, item| {
            item.emit(n);
            item.emit(n);
        });
        assert_eq!(emitted.sum::<u64>(), 90, "throttle {throttle}, emitting");
    }
    for throttle in [Throttle::shared(usize::MAX), Throttle::new(usize::MAX)] {
        let results = run!(0..40_u64, throttle = &throttle, |n| n);
        assert_eq!(results.sum::<u64>(), 780);
    }
    let auto = Throttle::auto_at_most(usize::MAX);
    assert_eq!(run!(0..40_u64, throttle = &auto, |n| n).sum::<u64>(), 780);
    let none = 0;
    assert_refused(|| run!(0..4_u64, throttle = none, |n| n).count());
});

on_each!(($) throttles_that_change, run, {
    let mut results = run!(0..200_u64, throttle = 2, |n| n);
    let throttle = results.throttle();
    let mut sum = results.next().unwrap();
    for next in [usize::MAX, 1, usize::MAX - 1, 3, usize::MAX] {
        throttle.set(next);
        sum += results.next().unwrap();
    }
    assert_refused(|| throttle.set(0));
    assert_eq!(sum + results.sum::<u64>(), 19_900);
    let shared = Throttle::shared(1);
    let mut results = run!(0..200_u64, throttle = &shared, |n| n);
    let first = results.next().unwrap();
    shared.set(usize::MAX);
    assert_refused(|| shared.set(0));
    assert_eq!(first + results.sum::<u64>(), 19_900);
});

on_each!(($) buffers, run, {
    for buffer in [0].into_iter().chain(COUNTS) {
        for throttle in [1, 3, usize::MAX] {
            let results = run!(0..40_u64, buffer = buffer, throttle = throttle, |n| n);
            assert_eq!(results.sum::<u64>(), 780, "{buffer} and {throttle}");
            let ordered = run!(
                0..20_u64,
                buffer = buffer,
                throttle = throttle,
                ordered = true,
                |n| n
            );
            assert!(ordered.eq(0..20), "{buffer} and {throttle}, in order");
            let emitted = run!(0..20_u64, buffer = buffer, throttle = throttle, |n, item| {
                (0..3).for_each(|_| item.emit(n));
            });
            assert_eq!(emitted.sum::<u64>(), 570, "{buffer} and {throttle}");
        }
    }
});

on_each!(($) time_limits, run, {
    for far in FAR {
        assert_eq!(run!(0..20_u64, timeout = far, |n| n).sum::<u64>(), 190);
        assert_eq!(run!(0..20_u64, deadline = far, |n| n).sum::<u64>(), 190);
        let floor = Timeout::median(f64::MAX).at_least(far);
        assert_eq!(run!(0..20_u64, timeout = floor, |n| n).sum::<u64>(), 190);
        let both = run!(
            0..20_u64,
            timeout = far,
            deadline = far,
            retry = Retry::every(u32::MAX, Duration::ZERO),
            |n| n
        );
        assert_eq!(both.sum::<u64>(), 190);
    }
    for factor in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_refused(|| Timeout::median(factor));
    }
});

on_each!(($) time_limits_of_nothing, run, {
    let outcomes = run!(0..4_u64, timeout = Duration::ZERO, |n| {
        // Not for ever where nobody asks it to stop.
        let mut looks = 0;
        while !runspace::stopping() && looks < 600_000 {
            std::thread::sleep(Duration::from_millis(1));
            looks += 1;
        }
        n
    })
    .outcomes();
    let all: Vec<_> = outcomes.collect();
    assert_eq!(all.len(), 4);
    // What becomes of a body that answers once it is told to stop is the concern of `conformance`.
    for error in all.into_iter().filter_map(Result::err) {
        let at_once = matches!(error.cause(), Cause::TimedOut(limit) if limit.is_zero());
        assert!(at_once, "{error}");
    }
    let outcomes = run!(0..4_u64, deadline = Duration::ZERO, |n| {
        let mut looks = 0;
        while !runspace::stopping() && looks < 600_000 {
            std::thread::sleep(Duration::from_millis(1));
            looks += 1;
        }
        n
    })
    .outcomes();
    for error in outcomes.filter_map(Result::err) {
        assert!(
            matches!(error.cause(), Cause::DeadlinePassed { limit, .. } if limit.is_zero()),
            "{error}"
        );
    }
});

on_each!(($) tries, run, {
    for retry in [
        Retry::times(u32::MAX),
        Retry::every(u32::MAX, Duration::ZERO),
        Retry::every(u32::MAX, Duration::MAX).at_most(Duration::ZERO),
        Retry::exponential(u32::MAX, Duration::ZERO),
        Retry::exponential(u32::MAX, Duration::MAX).at_most(Duration::ZERO),
    ] {
        let results = run!(0..8_u64, retry = retry, |n| {
            match runspace::attempt() {
                1 | 2 => Err("not yet".to_owned()),
                _ => Ok(n),
            }
        });
        assert_eq!(results.map(Result::unwrap).sum::<u64>(), 28, "{retry:?}");
    }
    for retry in [
        Retry::times(0),
        Retry::every(0, Duration::MAX),
        Retry::exponential(0, Duration::MAX),
    ] {
        let results = run!(0..4_u64, retry = retry, |_n| Err::<u64, _>("never".to_owned()));
        assert_eq!(results.filter(Result::is_err).count(), 4, "{retry:?}");
    }
});

on_each!(($) pauses_that_never_end, run, {
    for far in FAR {
        for retry in [Retry::every(3, far), Retry::exponential(3, far)] {
            let results = run!(0..3_u64, retry = retry, throttle = 2, |n| {
                assert!(n != 1 || runspace::attempt() > 1, "the first try");
                (n, runspace::attempt())
            });
            let stop = results.stop_token();
            let mut outcomes = results.outcomes();
            let mut good: Vec<_> = outcomes.by_ref().take(2).map(Result::unwrap).collect();
            good.sort_unstable();
            // The third does not come: it would wait for longer than any clock tells.
            assert_eq!(good, [(0, 1), (2, 1)], "{retry:?}");
            stop.stop();
            let last = outcomes.next().unwrap().unwrap_err();
            // Of its first try, if the stop was faster.
            let is_first = last.to_string().contains("the first try");
            assert!(last.index() == Some(1) && (last.is_stopped() || is_first), "{last}");
            assert!(outcomes.next().is_none());
        }
    }
});

on_each!(($) early_ends, run, {
    for halt in [Halt::soon(), Halt::now()] {
        for halt in [
            halt.fail(u64::MAX),
            halt.success(u64::MAX),
            halt.done(u64::MAX),
            halt.fail_percent(f64::MIN_POSITIVE),
            halt.fail_percent(100.0),
            halt.success_percent(100.0),
        ] {
            let results = run!(0..20_u64, halt = halt, |n| n);
            assert_eq!(results.sum::<u64>(), 190, "{halt:?}");
        }
        for percent in [0.0, -0.0, -1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert_refused(|| halt.fail_percent(percent));
            assert_refused(|| halt.success_percent(percent));
            assert_refused(|| halt.done_percent(percent));
        }
        assert_refused(|| halt.fail(0));
        assert_refused(|| halt.success(0));
        assert_refused(|| halt.done(0));
    }
});

#[cfg(feature = "rate")]
on_each!(($) rates, run, {
    use runspace::PerTime as _;
    for rate in [
        u32::MAX.per_second(),
        u32::MAX.per_minute(),
        u32::MAX.per_hour(),
        1.per_hour().burst(u32::MAX),
        1.per_second().burst(u32::MAX),
        u32::MAX.per_second().burst(u32::MAX),
    ] {
        let results = run!(0..20_u64, rate = &rate, |n| n);
        assert_eq!(results.sum::<u64>(), 190, "{rate:?}");
    }
    assert_refused(|| 0.per_second());
    assert_refused(|| 0.per_minute());
    assert_refused(|| 0.per_hour());
    assert_refused(|| 1.per_hour().burst(0));
    // The first starts at once, and the second in an hour.
    let results = run!(0..2_u64, rate = 1.per_hour(), throttle = 2, |n| n);
    let stop = results.stop_token();
    let mut outcomes = results.outcomes();
    outcomes.next().unwrap().unwrap();
    stop.stop();
    assert!(outcomes.all(|it| it.is_err()));
});

/// An input says how many items it has, and may be wrong.
struct Says(std::ops::Range<u64>, (usize, Option<usize>));

impl Iterator for Says {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

on_each!(($) inputs_that_say_their_length, run, {
    for says in [
        (0, None),
        (usize::MAX, None),
        (usize::MAX, Some(usize::MAX)),
    ] {
        let results = run!(
            Says(0..20, says),
            halt = Halt::soon().fail_percent(1.0),
            |n| n
        );
        assert_eq!(results.sum::<u64>(), 190, "{says:?}");
    }
    let mut long = run!(0..u64::MAX, |n| n);
    assert!(long.next().is_some());
    drop(long);
});

#[test]
fn pools_of_runspaces() {
    within(120, || {
        for max in COUNTS {
            let pool = RunspacePool::builder().max(max).open().unwrap();
            assert_eq!(pool.available(), max);
            let invocation = invoke!(&pool, { 6 * 7 });
            assert_eq!(invocation.end().unwrap(), 42);
            let results = foreach_parallel!(0..40_u64, on = pool(&pool), |n| n);
            assert_eq!(results.sum::<u64>(), 780, "{max}");
            pool.close();
        }
        for min in COUNTS {
            let pool = RunspacePool::builder().min(min).max(min).open().unwrap();
            assert_eq!(invoke!(&pool, { 6 * 7 }).end().unwrap(), 42);
            pool.close();
            let pool = RunspacePool::builder().min(min).open().unwrap();
            assert_eq!(pool.max(), min.max(5));
        }
        let pool = RunspacePool::builder().min(0).max(1).open().unwrap();
        for (min, max) in [(0, usize::MAX), (usize::MAX, usize::MAX), (0, 1)] {
            pool.set_min(0).unwrap();
            pool.set_max(max).unwrap();
            pool.set_min(min).unwrap();
            assert_eq!(invoke!(&pool, { 6 * 7 }).end().unwrap(), 42);
        }
        assert!(pool.set_max(0).is_err() && pool.set_min(usize::MAX).is_err());
        assert!(RunspacePool::builder().max(0).open().is_err());
        let crossed = RunspacePool::builder().min(usize::MAX).max(1).open();
        assert!(crossed.is_err());
        for idle in FAR.into_iter().chain([Duration::ZERO]) {
            let pool = RunspacePool::builder().min(0).max(2).idle_timeout(idle);
            let pool = pool.open().unwrap();
            for _ in 0..3 {
                assert_eq!(invoke!(&pool, { 6 * 7 }).end().unwrap(), 42);
            }
            let results = foreach_parallel!(0..40_u64, on = pool(&pool), |n| n);
            assert_eq!(results.sum::<u64>(), 780, "{idle:?}");
            pool.close();
        }
    });
}

#[test]
fn queues_of_jobs() {
    within(60, || {
        for throttle in COUNTS {
            let queue = JobQueue::new(throttle);
            let jobs: Vec<_> = (0..10)
                .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
                .collect();
            queue.set_throttle(usize::MAX);
            let sum: i32 = jobs.into_iter().map(|it| it.join().unwrap()).sum();
            assert_eq!(sum, 45, "{throttle}");
        }
        assert_refused(|| JobQueue::new(0));
        assert_refused(|| JobQueue::new(1).set_throttle(0));
    });
}

#[test]
fn waits_of_any_length() {
    within(60, || {
        for far in FAR {
            let (go, gone) = std::sync::mpsc::channel::<()>();
            let job = start_thread_job!(using(gone), { gone.recv().is_err() });
            let short = Duration::from_nanos(1);
            for limit in [Duration::ZERO, short] {
                assert!(job.wait_timeout(limit).is_none());
                assert!(runspace::wait_all_timeout([&job], limit).is_none());
            }
            drop(go);
            assert!(job.wait_timeout(far).is_some());
            assert!(runspace::wait_all_timeout([&job], far).is_some());
            assert!(job.join().unwrap());
            let runspace = Runspace::open().unwrap();
            let (go, gone) = std::sync::mpsc::channel::<()>();
            let invocation = invoke!(&runspace, using(gone), { gone.recv().is_err() });
            assert!(invocation.wait_timeout(Duration::ZERO).is_none());
            drop(go);
            assert!(invocation.wait_timeout(far).is_some());
            let token = StopToken::new();
            assert!(!token.sleep(Duration::ZERO));
            let sleeper = token.clone();
            let slept = std::thread::spawn(move || sleeper.sleep(far));
            token.stop();
            assert!(slept.join().unwrap());
            let line = BlockingCollection::bounded(1);
            assert_eq!(line.take_for(Duration::ZERO), Err(TakeError::Empty));
            line.try_add_for(1, far).unwrap();
            assert!(line.try_add_for(2, Duration::ZERO).is_err());
            assert_eq!(line.take_for(far), Ok(1));
            let taker = line.clone();
            let taken = std::thread::spawn(move || taker.take_for(far));
            line.try_add_for(3, far).unwrap();
            assert_eq!(taken.join().unwrap(), Ok(3));
        }
    });
}

#[test]
fn room_in_collections() {
    within(60, || {
        for capacity in COUNTS {
            let line = BlockingCollection::bounded(capacity);
            line.add(1).unwrap();
            assert_eq!(line.take(), Ok(1));
        }
        assert!(refusal(|| BlockingCollection::<u8>::bounded(0)).contains("at least 1"));
        // Room is made as far as there is memory for it.
        for capacity in [
            0,
            1,
            1000,
            usize::MAX,
            usize::MAX - 1,
            usize::MAX / 2,
            usize::MAX / 64,
        ] {
            let map = Dictionary::with_capacity(capacity);
            map.insert(1, 2);
            assert_eq!(map.try_get(&1), Some(2));
            Dictionary::<(), ()>::with_capacity(capacity).insert((), ());
            let large = Dictionary::<[u64; 100], u8>::with_capacity(capacity);
            assert!(!large.insert([1; 100], 2));
        }
        let stack: Stack<i32> = (0..3).collect();
        assert!(stack.try_pop_range(0).is_empty());
        assert_eq!(stack.try_pop_range(usize::MAX), [2, 1, 0]);
    });
}

#[test]
fn plans() {
    within(60, || {
        assert_refused(|| runspace::plan(Plan::Threads(Some(0))));
        assert_eq!(
            runspace::plan(Plan::Threads(Some(usize::MAX))),
            Plan::Threads(None)
        );
        let results = foreach_parallel!(0..40_u64, on = plan, |n| n);
        assert_eq!(results.sum::<u64>(), 780);
        #[cfg(all(target_os = "linux", feature = "process"))]
        {
            assert_refused(|| runspace::plan(Plan::Process(Some(0))));
            runspace::plan(Plan::Process(Some(usize::MAX)));
            let results = foreach_parallel!(0..40_u64, on = plan, |n| n);
            assert_eq!(results.sum::<u64>(), 780);
        }
        for text in ["threads:0", "threads:18446744073709551616", "threads:-1"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
        runspace::plan(Plan::default());
    });
}

#[cfg(feature = "progress")]
mod progress {
    use super::*;

    /// What is shown of a call whose input says that it is of any length.
    #[test]
    fn totals() {
        const NAME: &str = "progress::totals";
        for mode in ["plain", "bar"] {
            let shown = |command: &mut std::process::Command| {
                command.env("RUNSPACE_PROGRESS", mode);
            };
            let ended = support::in_changed_process(NAME, shown, || {
                // One item has ended of so many after a second, and more: an estimate beyond all numbers.
                let mut long = foreach_parallel!(0..u64::MAX, progress = "Long", |n| {
                    while n > 0 && !runspace::stopping() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
                long.next().unwrap();
                std::thread::sleep(Duration::from_millis(2500));
                drop(long);
                let says = Says(0..3, (usize::MAX, Some(usize::MAX)));
                foreach_parallel!(says, progress = "Says", |n| n).wait();
            });
            let ended = ended.well();
            assert!(!ended.err.contains("panicked"), "{}", ended.err);
            assert!(ended.err.contains("Says: "), "{}", ended.err);
        }
    }
}

#[cfg(all(target_os = "linux", feature = "process"))]
mod processes {
    use runspace::{ProcessPool, start_job};

    use super::*;

    #[test]
    fn pools() {
        within(240, || {
            for idle in FAR.into_iter().chain([Duration::ZERO]) {
                let pool = ProcessPool::builder().workers(1).idle_timeout(idle).build();
                for _ in 0..3 {
                    let results = foreach_parallel!(0..10_u64, on = process(&pool), |n| n);
                    assert_eq!(results.sum::<u64>(), 45, "{idle:?}");
                }
            }
            for workers in [1, usize::MAX] {
                let pool = ProcessPool::builder().workers(workers).build();
                let results = foreach_parallel!(0..10_u64, on = process(&pool), |n| n);
                assert_eq!(results.sum::<u64>(), 45, "{workers}");
            }
            for count in [1, u64::MAX] {
                let pool = ProcessPool::builder().workers(1).max_items(count).build();
                let results = foreach_parallel!(0..4_u64, on = process(&pool), |n| n);
                assert_eq!(results.sum::<u64>(), 6, "{count}");
            }
            for bytes in [0, 1, u64::MAX] {
                let pool = ProcessPool::builder().workers(1).max_growth(bytes).build();
                let results = foreach_parallel!(0..4_u64, on = process(&pool), |n| n);
                assert_eq!(results.sum::<u64>(), 6, "{bytes}");
            }
            assert_refused(|| ProcessPool::builder().workers(0));
            assert_refused(|| ProcessPool::builder().max_items(0));
        });
    }

    #[test]
    fn limits() {
        within(240, || {
            assert_refused(|| ProcessPool::builder().memory(0));
            assert_refused(|| ProcessPool::builder().cpu_time(Duration::ZERO));
            assert_refused(|| ProcessPool::builder().open_files(0));
            let (none, no_time) = (0, Duration::ZERO);
            assert_refused(|| start_job!(memory = none, { 1 }));
            assert_refused(|| start_job!(cpu_time = no_time, { 1 }));
            assert_refused(|| start_job!(open_files = none, { 1 }));
            for far in FAR {
                let pool = ProcessPool::builder().workers(1).cpu_time(far);
                let pool = pool.memory(u64::MAX).open_files(u64::MAX).build();
                let results = foreach_parallel!(0..4_u64, on = process(&pool), |n| n);
                assert_eq!(results.sum::<u64>(), 6, "{far:?}");
                let job = start_job!(cpu_time = far, memory = u64::MAX, open_files = u64::MAX, {
                    7
                });
                assert_eq!(job.join().unwrap(), 7, "{far:?}");
            }
            // A process keeps the address space that it has; the limit is on what it asks for.
            for limit in [1, 4096] {
                let end = start_job!(memory = limit, { vec![1_u8; 64 << 20].len() }).join();
                assert!(end.is_err(), "{limit}");
                let pool = ProcessPool::builder().workers(1).memory(limit).build();
                let results = foreach_parallel!(0..2_u64, on = process(&pool), |_n| {
                    vec![1_u8; 64 << 20].len()
                });
                assert_eq!(
                    results.outcomes().filter(Result::is_err).count(),
                    2,
                    "{limit}"
                );
            }
            let job = start_job!(open_files = 1, { 7 });
            // It can open nothing, and may not need to; either way it ends.
            let end = job.join().map_err(|it| it.to_string());
            assert!(end.as_ref().is_ok_and(|it| *it == 7) || end.is_err_and(|it| it.len() > 20));
            let job = start_job!(cpu_time = Duration::from_nanos(1), { 7 });
            assert_eq!(job.join().unwrap(), 7);
        });
    }

    #[test]
    fn graces() {
        within(240, || {
            for grace in FAR.into_iter().chain([Duration::ZERO]) {
                let job = start_job!(grace = grace, {
                    std::thread::sleep(Duration::from_secs(600));
                });
                support::until(|| job.state() == runspace::JobState::Running);
                job.stop();
                // It does not wait for the grace: it has heard of the stop.
                assert_eq!(job.wait(), runspace::JobState::Stopped, "{grace:?}");
                let job = start_job!(file = "sleep", args = ["600"], grace = grace);
                support::until(|| job.state() == runspace::JobState::Running);
                job.stop();
                assert_eq!(job.wait(), runspace::JobState::Stopped, "{grace:?}");
                let pool = ProcessPool::builder().workers(1).grace(grace).build();
                let mut outcomes = foreach_parallel!(
                    0..2_u64,
                    on = process(&pool),
                    timeout = Duration::from_millis(20),
                    |n| {
                        if n == 0 {
                            std::thread::sleep(Duration::from_secs(600));
                        }
                        n
                    }
                )
                .outcomes();
                assert!(outcomes.next().unwrap().is_err());
                drop(outcomes);
                // Those that start and end children are there.
                assert_eq!(start_job!({ 7 }).join().unwrap(), 7, "{grace:?}");
            }
        });
    }

    #[test]
    fn time_limits_of_jobs() {
        within(240, || {
            for far in FAR {
                assert_eq!(start_job!(timeout = far, { 7 }).join().unwrap(), 7);
                let job = start_job!(file = "echo", args = ["7"], timeout = far);
                assert_eq!(job.join().unwrap(), "7");
            }
            let none = Duration::ZERO;
            let job = start_job!(timeout = none, {
                std::thread::sleep(Duration::from_secs(600));
            });
            assert!(job.join().is_err());
            let job = start_job!(file = "sleep", args = ["600"], timeout = none);
            assert!(job.join().is_err());
            assert_eq!(start_job!({ 7 }).join().unwrap(), 7);
        });
    }

    /// The variables with numbers in them.
    #[test]
    fn start_timeouts() {
        const NAME: &str = "processes::start_timeouts";
        for (text, is_number) in [
            ("1e18", true),
            ("18446744073709551615", false),
            ("1e300", false),
            ("inf", false),
            ("nan", false),
            ("0", false),
            ("-1", false),
            ("20", true),
        ] {
            let set = |command: &mut std::process::Command| {
                command.env("RUNSPACE_START_TIMEOUT", text);
            };
            let ended = support::in_changed_process(NAME, set, || match start_job!({ 7 }).join() {
                Ok(number) => println!("came: {number}"),
                Err(error) => println!("refused: {error}"),
            });
            let out = ended.well().out;
            assert_eq!(out.contains("came: 7"), is_number, "{text}: {out}");
            let refused = out.contains("refused: ") && out.contains("RUNSPACE_START_TIMEOUT");
            assert_eq!(refused, !is_number, "{text}: {out}");
        }
    }
}
