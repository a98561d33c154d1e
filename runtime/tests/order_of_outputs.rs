//! What an item emits comes in its order, one try after another, and then its end: over all combinations of
//! the options that put outputs and ends into different queues, on every back end of this machine.

mod support;

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runspace::__private::{late_wakes, watch_wakes};
use runspace::{Cause, Halt, ItemContext, ItemError, foreach_parallel};
#[cfg(feature = "process")]
use serde::{Deserialize, Serialize};
use support::within;

/// An item, which of its tries, and the number of the output in the try.
type Output = (u64, u32, u32);
type Outcome = Result<Output, ItemError>;

/// No limit that is reached.
const NEVER: Duration = Duration::from_secs(600);

/// What the items of a call do.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "process", derive(Serialize, Deserialize))]
struct Load {
    items: u64,
    /// How many outputs an item has at most.
    outputs: u32,
    /// Every so-manieth item fails its first tries: so many of them.
    fails: (u64, u32),
    /// Every so-manieth item dawdles between two outputs, until it is told to stop; then it goes on.
    dawdles: u64,
}

/// The options of a call.
#[derive(Clone, Copy, Debug)]
struct Limits {
    throttle: usize,
    buffer: usize,
    ordered: bool,
    timeout: Duration,
    deadline: Duration,
    retry: u32,
    halt: Option<(bool, u64)>,
    /// The call is stopped when so many outcomes have come.
    stop_after: usize,
}

impl Load {
    fn count(self, item: u64) -> u32 {
        u32::try_from(item * 7 % u64::from(self.outputs + 1)).unwrap()
    }

    fn is_hit(item: u64, every: u64) -> bool {
        every > 0 && item % every == every - 1
    }

    /// How many of the first tries of an item fail.
    fn failures(self, item: u64) -> u32 {
        let (every, tries) = self.fails;
        if Self::is_hit(item, every) { tries } else { 0 }
    }

    fn run(self, item: u64, job: &ItemContext<'_, Output>) {
        let count = self.count(item);
        for n in 0..count {
            job.emit((item, job.attempt(), n));
            if n == count / 2 && Self::is_hit(item, self.dawdles) {
                while !job.stopping() {
                    std::thread::yield_now();
                }
            }
        }
        if job.attempt() <= self.failures(item) {
            resume_unwind(Box::new("this try fails"));
        }
    }
}

impl Limits {
    /// None of them is reached.
    fn none(throttle: usize, buffer: usize, ordered: bool) -> Self {
        Self {
            throttle,
            buffer,
            ordered,
            timeout: NEVER,
            deadline: NEVER,
            retry: 0,
            halt: None,
            stop_after: usize::MAX,
        }
    }

    fn halt(self) -> Halt {
        match self.halt {
            None => Halt::soon().fail(u64::MAX),
            Some((true, failures)) => Halt::now().fail(failures),
            Some((false, failures)) => Halt::soon().fail(failures),
        }
    }

    /// Whether the call may end before all of its items have run.
    fn may_end_early(self) -> bool {
        self.halt.is_some() || self.stop_after < usize::MAX || self.deadline < NEVER
    }
}

/// What has come of one item so far.
#[derive(Default)]
struct Seen {
    attempt: u32,
    next: u32,
    has_ended: bool,
}

/// Looks at each outcome of a call as it comes.
struct Check {
    load: Load,
    limits: Limits,
    seen: HashMap<u64, Seen>,
    last: u64,
}

impl Check {
    fn new(load: Load, limits: Limits) -> Self {
        Self {
            load,
            limits,
            seen: HashMap::new(),
            last: 0,
        }
    }

    #[track_caller]
    fn take(&mut self, outcome: &Outcome) {
        let item = match outcome {
            Ok((item, ..)) => *item,
            Err(error) => match (error.index(), error.cause()) {
                (Some(index), _) => index,
                // What the deadline has kept from being taken.
                (None, Cause::DeadlinePassed { .. }) => return,
                (None, _) => panic!("of no item: {error}"),
            },
        };
        if self.limits.ordered {
            assert!(item >= self.last, "item {item} after item {}", self.last);
            self.last = item;
        }
        let seen = self.seen.entry(item).or_default();
        assert!(
            !seen.has_ended,
            "item {item}: {outcome:?} after the end of the item"
        );
        match outcome {
            Ok((_, attempt, n)) => {
                assert!(
                    *attempt >= seen.attempt,
                    "item {item}: an output of try {attempt} after one of try {}",
                    seen.attempt
                );
                if *attempt > seen.attempt {
                    (seen.attempt, seen.next) = (*attempt, 0);
                }
                assert_eq!(*n, seen.next, "item {item}, try {attempt}");
                seen.next += 1;
            }
            Err(error) => {
                seen.has_ended = true;
                let is_end = matches!(
                    error.cause(),
                    Cause::Panicked(_)
                        | Cause::Stopped
                        | Cause::TimedOut(_)
                        | Cause::DeadlinePassed { .. }
                );
                assert!(is_end, "{error}");
            }
        }
    }

    /// After the last outcome.
    #[track_caller]
    fn end(self) {
        let Self {
            load,
            limits,
            mut seen,
            ..
        } = self;
        if limits.may_end_early() {
            return;
        }
        for item in 0..load.items {
            let it = seen.remove(&item).unwrap_or_default();
            let dawdles = Load::is_hit(item, load.dawdles) && load.count(item) > 0;
            let fails = dawdles || load.failures(item) > limits.retry;
            // A machine under load may give up an item that only took long.
            let may_fail = limits.timeout < NEVER;
            assert!(
                it.has_ended == fails || it.has_ended && may_fail,
                "item {item} of {load:?}, {limits:?} has ended: {}",
                it.has_ended
            );
            if !it.has_ended {
                assert_eq!(it.next, load.count(item), "item {item}");
                let last_try = load.failures(item) + 1;
                assert!(
                    it.next == 0 || it.attempt == last_try || it.attempt > last_try && may_fail,
                    "item {item} ends with try {}",
                    it.attempt
                );
            }
        }
        assert!(seen.is_empty());
    }
}

fn check(load: Load, limits: Limits, outcomes: impl Iterator<Item = Outcome>, stop: impl Fn()) {
    let mut check = Check::new(load, limits);
    for (n, outcome) in outcomes.enumerate() {
        check.take(&outcome);
        if n == limits.stop_after {
            stop();
        }
    }
    check.end();
}

fn load() -> impl Strategy<Value = Load> {
    (1..30_u64, 0..90_u32, 0..5_u64, 1..4_u32, 0..6_u64).prop_map(
        |(items, outputs, every, tries, dawdles)| Load {
            items,
            outputs,
            fails: (every, tries),
            dawdles,
        },
    )
}

fn limits() -> impl Strategy<Value = Limits> {
    let window = (1..7_usize, 0..20_usize, any::<bool>());
    let ends = (
        prop_oneof![Just(NEVER), (1..20_u64).prop_map(Duration::from_millis)],
        prop_oneof![3 => Just(NEVER), 1 => (1..30_u64).prop_map(Duration::from_millis)],
        0..4_u32,
        prop_oneof![
            3 => Just(None),
            1 => (any::<bool>(), 1..4_u64).prop_map(Some),
        ],
        prop_oneof![3 => Just(usize::MAX), 1 => 0..200_usize],
    );
    (window, ends).prop_map(
        |((throttle, buffer, ordered), (timeout, deadline, retry, halt, stop_after))| Limits {
            throttle,
            buffer,
            ordered,
            timeout,
            deadline,
            retry,
            halt,
            stop_after,
        },
    )
}

/// An item that dawdles waits for a stop: there has to be one.
fn fitting((mut load, limits): (Load, Limits)) -> (Load, Limits) {
    if limits.timeout == NEVER && limits.deadline == NEVER {
        load.dawdles = 0;
    }
    (load, limits)
}

/// Fails if `run` has a wait that only its time limit ends, though what it waits for has come.
fn all_woken(run: impl FnOnce()) {
    watch_wakes();
    let before = late_wakes();
    run();
    let late = late_wakes() - before;
    assert_eq!(late, 0, "waits that only their time limit has ended");
}

/// Tests that count late wakes run one at a time, with no other beside them.
static ALONE: std::sync::RwLock<()> = std::sync::RwLock::new(());

macro_rules! suite {
    ($name:ident, cases = $cases:expr, on = $($on:tt)*) => {
        mod $name {
            use super::*;

            fn run(load: Load, limits: Limits) {
                let results = foreach_parallel!(
                    0..load.items,
                    on = $($on)*,
                    throttle = limits.throttle,
                    buffer = limits.buffer,
                    ordered = limits.ordered,
                    timeout = limits.timeout,
                    deadline = limits.deadline,
                    retry = limits.retry,
                    halt = limits.halt(),
                    using(load),
                    |item: u64, job| load.run(item, job)
                );
                let token = results.stop_token();
                check(load, limits, results.outcomes(), || token.stop());
            }

            /// The same with nothing that ends an item but itself, so that there is no supervisor.
            fn run_with_retry(load: Load, limits: Limits) {
                let load = Load { dawdles: 0, ..load };
                let limits = Limits { timeout: NEVER, deadline: NEVER, halt: None, ..limits };
                let results = foreach_parallel!(
                    0..load.items,
                    on = $($on)*,
                    throttle = limits.throttle,
                    buffer = limits.buffer,
                    ordered = limits.ordered,
                    retry = limits.retry,
                    using(load),
                    |item: u64, job| load.run(item, job)
                );
                let token = results.stop_token();
                check(load, limits, results.outcomes(), || token.stop());
            }

            fn run_plain(load: Load, limits: Limits) {
                let load = Load { dawdles: 0, ..load };
                let limits = Limits {
                    stop_after: limits.stop_after,
                    ..Limits::none(limits.throttle, limits.buffer, limits.ordered)
                };
                let results = foreach_parallel!(
                    0..load.items,
                    on = $($on)*,
                    throttle = limits.throttle,
                    buffer = limits.buffer,
                    ordered = limits.ordered,
                    using(load),
                    |item: u64, job| load.run(item, job)
                );
                let token = results.stop_token();
                check(load, limits, results.outcomes(), || token.stop());
            }

            #[test]
            fn outputs_come_in_their_order_and_before_their_end() {
                let _alone = ALONE.read().unwrap_or_else(|it| it.into_inner());
                within(300, || {
                    let config = Config { cases: $cases, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
                    let case = (load(), limits()).prop_map(fitting);
                    let tried = TestRunner::new(config).run(&case, |(load, limits)| {
                        run(load, limits);
                        run_with_retry(load, limits);
                        run_plain(load, limits);
                        Ok(())
                    });
                    tried.unwrap();
                });
            }

            /// One item that is given up while its outputs lie in the queue of its worker, and one that is tried
            /// again by another.
            #[test]
            fn a_timeout_or_another_try_keeps_the_order() {
                let _alone = ALONE.read().unwrap_or_else(|it| it.into_inner());
                within(300, || {
                    for ordered in [true, false] {
                        let load = Load { items: 24, outputs: 60, fails: (3, 2), dawdles: 0 };
                        let limits = Limits { retry: 2, ..Limits::none(5, 10, ordered) };
                        for _ in 0..$cases / 2 {
                            run(load, limits);
                            run_with_retry(load, limits);
                        }
                        let load = Load { items: 12, outputs: 40, fails: (0, 0), dawdles: 4 };
                        let timeout = Duration::from_millis(20);
                        let limits = Limits { timeout, retry: 1, ..Limits::none(4, 400, ordered) };
                        for _ in 0..$cases / 8 {
                            run(load, limits);
                        }
                    }
                });
            }

            #[test]
            fn every_wait_is_ended_by_a_wake() {
                let _alone = ALONE.write().unwrap_or_else(|it| it.into_inner());
                within(300, || all_woken(|| {
                    for (throttle, buffer) in [(5, 5), (6, 6), (3, 400), (1, 0)] {
                        for ordered in [true, false] {
                            let load = Load { items: 8, outputs: 300, fails: (3, 1), dawdles: 0 };
                            let limits = Limits { retry: 1, ..Limits::none(throttle, buffer, ordered) };
                            run(load, limits);
                            run_with_retry(load, limits);
                            run_plain(Load { fails: (0, 0), ..load }, limits);
                        }
                    }
                }));
            }
        }
    };
}

fn runspaces() -> &'static runspace::RunspacePool {
    static POOL: OnceLock<runspace::RunspacePool> = OnceLock::new();
    POOL.get_or_init(|| {
        let pool = runspace::RunspacePool::builder().max(6).open();
        pool.unwrap()
    })
}

suite!(on_threads, cases = 60, on = thread);
suite!(on_a_pool, cases = 40, on = pool(runspaces()));
suite!(on_sequential, cases = 40, on = sequential);
suite!(on_the_plan, cases = 40, on = plan);
#[cfg(feature = "rayon")]
suite!(on_rayon, cases = 40, on = rayon);
#[cfg(all(target_os = "linux", feature = "process"))]
suite!(on_processes, cases = 24, on = process);

#[test]
fn many_outputs_of_few_items_go_on_without_a_pause() {
    let _alone = ALONE.write().unwrap_or_else(|it| it.into_inner());
    within(120, || {
        all_woken(|| {
            for (throttle, buffer) in [(5, 5), (6, 6), (64, 64)] {
                let emitted = AtomicUsize::new(0);
                let outputs = foreach_parallel!(
                    0..12_u64,
                    throttle = throttle,
                    buffer = buffer,
                    ordered = true,
                    using(&emitted),
                    |item: u64, job| {
                        for n in 0..1_000_u64 {
                            job.emit((item, n));
                            emitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                );
                let all = (0..12).flat_map(|item| (0..1_000).map(move |n| (item, n)));
                assert!(outputs.eq(all));
            }
        })
    });
}
