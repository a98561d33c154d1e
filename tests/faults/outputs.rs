//! Outputs of items that end, or go on, in another queue than the one that their outputs are in.

use std::panic::resume_unwind;
use std::time::Duration;

use runspace::__private::{late_wakes, watch_wakes};
use runspace::{Cause, ItemContext, ItemError, foreach_parallel};

use crate::common::{MS, pair};
use crate::stage::{Row, pool, threads};

pub const ROWS: &[Row] = &[
    Row {
        id: "C1",
        name: "given_up_while_it_emits",
        fault: "An item that emits runs out of its `timeout`, or of the `deadline` of its call, and emits on",
        outcome: "What it had emitted comes first, then its one end, and nothing of it after that; in order, the items after it follow.",
        tests: &[threads(c1_threads), pool(c1_pool)],
        elsewhere: "A job has one end, in the queue of its outputs.",
    },
    Row {
        id: "C2",
        name: "tried_again_elsewhere",
        fault: "An item that emits fails half-way, and another worker tries it again",
        outcome: "The outputs of one try come after those of the try before, with `ordered` and without.",
        tests: &[threads(c2_threads), pool(c2_pool)],
        elsewhere: "A job is not tried again.",
    },
    Row {
        id: "C3",
        name: "one_output_at_a_time",
        fault: "Items of many outputs, with room for one of each, read in their order or not",
        outcome: "No sleeper is left to its time limit when it could go on.",
        tests: &[threads(c3_threads), pool(c3_pool)],
        elsewhere: "A job stands in no order beside others, and waits for nobody to read its outputs.",
    },
];

type Output = (u64, u32, u32);
type Outcomes = Vec<Result<Output, ItemError>>;

/// Each item's outputs are numbered from 0 in each try, its tries follow each other, and it has one end.
#[track_caller]
fn assert_order(outcomes: &Outcomes, items: u64, ordered: bool) {
    let item = |outcome: &Result<Output, ItemError>| match outcome {
        Ok((item, ..)) => Some(*item),
        Err(error) => error.index(),
    };
    if ordered {
        assert!(outcomes.iter().filter_map(item).is_sorted());
    }
    for index in 0..items {
        let own = outcomes.iter().filter(|it| item(it) == Some(index));
        let (mut attempt, mut next, mut has_ended) = (1, 0, false);
        for outcome in own {
            assert!(!has_ended, "item {index}: {outcome:?} after its end");
            match *outcome {
                Ok((_, now, n)) => {
                    assert!(now >= attempt, "item {index}: try {now} after {attempt}");
                    if now > attempt {
                        (attempt, next) = (now, 0);
                    }
                    assert_eq!(n, next, "item {index}, try {attempt}");
                    next += 1;
                }
                Err(_) => has_ended = true,
            }
        }
    }
}

/// Item 1 of each four does not come to its end by itself, and does not look whether it is to stop before it has
/// emitted some more.
fn dawdles(item: u64, job: &ItemContext<'_, Output>) {
    for n in 0..30 {
        job.emit((item, job.attempt(), n));
    }
    if item % 4 == 1 {
        let mut n = 30;
        while !job.stopping() {
            std::thread::sleep(MS);
        }
        loop {
            job.emit((item, job.attempt(), n));
            n += 1;
        }
    }
}

macro_rules! given_up {
    ($($on:tt)*) => {
        for ordered in [true, false] {
            let outcomes: Outcomes = foreach_parallel!(
                0..12_u64,
                on = $($on)*,
                throttle = 4,
                ordered = ordered,
                timeout = 150 * MS,
                retry = 1,
                |item, job| dawdles(item, job)
            )
            .outcomes()
            .collect();
            assert_order(&outcomes, 12, ordered);
            let is_late = |it: &&Result<Output, ItemError>| {
                matches!(it, Err(error) if matches!(error.cause(), Cause::TimedOut(_)))
            };
            assert!(outcomes.iter().filter(is_late).count() >= 3);

            let outcomes: Outcomes = foreach_parallel!(
                0..8_u64,
                on = $($on)*,
                throttle = 8,
                ordered = ordered,
                deadline = 500 * MS,
                |item, job| dawdles(item, job)
            )
            .outcomes()
            .collect();
            assert_order(&outcomes, 8, ordered);
            let errors = outcomes.iter().filter_map(|it| it.as_ref().err());
            let is_late = |it: &ItemError| matches!(it.cause(), Cause::DeadlinePassed { .. });
            assert!(errors.clone().all(is_late));
            assert!(errors.count() >= 2);
        }
    };
}

fn c1_threads() {
    given_up!(thread);
    given_up!(rayon);
}

fn c1_pool() {
    let pool = pair();
    given_up!(process(&pool));
}

/// Each third item fails twice before its last output.
fn fails(item: u64, job: &ItemContext<'_, Output>) {
    for n in 0..40 {
        job.emit((item, job.attempt(), n));
    }
    if item.is_multiple_of(3) && job.attempt() <= 2 {
        resume_unwind(Box::new("not yet"));
    }
    job.emit((item, job.attempt(), 40));
}

macro_rules! tried_again {
    ($($on:tt)*) => {
        for ordered in [true, false] {
            for (buffer, limit) in [(5, 600), (500, 600), (5, 0)] {
                let outcomes: Outcomes = match limit {
                    0 => foreach_parallel!(
                        0..30_u64,
                        on = $($on)*,
                        throttle = 5,
                        buffer = buffer,
                        ordered = ordered,
                        retry = 2,
                        |item, job| fails(item, job)
                    )
                    .outcomes()
                    .collect(),
                    limit => foreach_parallel!(
                        0..30_u64,
                        on = $($on)*,
                        throttle = 5,
                        buffer = buffer,
                        ordered = ordered,
                        retry = 2,
                        timeout = Duration::from_secs(limit),
                        |item, job| fails(item, job)
                    )
                    .outcomes()
                    .collect(),
                };
                assert_order(&outcomes, 30, ordered);
                // Ten items of two tries that failed, and a whole one of each.
                assert_eq!(outcomes.len(), 10 * 2 * 40 + 30 * 41);
            }
        }
    };
}

fn c2_threads() {
    tried_again!(thread);
    tried_again!(rayon);
    tried_again!(sequential);
}

fn c2_pool() {
    let pool = pair();
    tried_again!(process(&pool));
}

macro_rules! one_at_a_time {
    ($($on:tt)*) => {
        for ordered in [true, false] {
            let before = late_wakes();
            let outcomes: Outcomes = foreach_parallel!(
                0..8_u64,
                on = $($on)*,
                throttle = 5,
                buffer = 5,
                ordered = ordered,
                |item, job| (0..1_000).for_each(|n| job.emit((item, 1, n)))
            )
            .outcomes()
            .collect();
            assert_order(&outcomes, 8, ordered);
            assert_eq!(outcomes.len(), 8_000);
            assert_eq!(late_wakes() - before, 0, "left to its time limit");
        }
    };
}

fn c3_threads() {
    watch_wakes();
    one_at_a_time!(thread);
    one_at_a_time!(rayon);
    one_at_a_time!(sequential);
}

fn c3_pool() {
    watch_wakes();
    let pool = pair();
    one_at_a_time!(process(&pool));
}
