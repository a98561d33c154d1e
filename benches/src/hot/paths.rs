//! What is counted.

use std::hint::black_box;
use std::sync::mpsc::channel;

use frames::{Record, write, write_and_read};
use runspace::{JobQueue, RunspacePool, foreach_parallel, invoke, start_thread_job};

/// Something that happens for every item or job.
pub(super) struct HotPath {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// How many times in the shorter of two runs.
    pub(super) few: u64,
    /// By what share it may become more before that is a regression.
    pub(super) tolerance: f64,
    /// How many times it is counted; the least holds.
    pub(super) tries: usize,
    pub(super) go: fn(u64),
}

impl HotPath {
    /// How many times in the longer run.
    pub(super) fn many(&self) -> u64 {
        5 * self.few
    }

    /// On one thread: what is counted is the same each time.
    const fn alone(name: &'static str, what: &'static str, few: u64, go: fn(u64)) -> Self {
        Self {
            name,
            what,
            few,
            tolerance: 0.03,
            tries: 1,
            go,
        }
    }

    /// From thread to thread: how often they meet is never quite the same.
    const fn between(name: &'static str, what: &'static str, few: u64, go: fn(u64)) -> Self {
        Self {
            name,
            what,
            few,
            tolerance: 0.15,
            tries: 3,
            go,
        }
    }
}

/// Nothing that starts a process: the child would be valgrind, which is this program while it counts. What an
/// item costs on its way there and back is in the frames.
pub(super) const PATHS: &[HotPath] = &[
    HotPath::alone(
        "sequential",
        "an item without work, `on = sequential`",
        50_000,
        |n| drain(foreach_parallel!(0..n, on = sequential, |it| it)),
    ),
    HotPath::between(
        "foreach",
        "an item without work, `throttle = 1`",
        50_000,
        |n| {
            drain(foreach_parallel!(0..n, throttle = 1, |it| it));
        },
    ),
    HotPath::between("ordered", "the same, `ordered = true`", 50_000, |n| {
        drain(foreach_parallel!(
            0..n,
            throttle = 1,
            ordered = true,
            |it| it
        ));
    }),
    HotPath::between(
        "emit",
        "an item that emits one value, `throttle = 1`",
        50_000,
        |n| drain(foreach_parallel!(0..n, throttle = 1, |it, job| job.emit(it))),
    ),
    HotPath::between(
        "outcomes",
        "an item without work, read with `outcomes()`",
        50_000,
        |n| {
            let all = foreach_parallel!(0..n, throttle = 1, |it| it).outcomes();
            all.for_each(|it| drop(black_box(it)));
        },
    ),
    HotPath::between("call", "a call with one item, start to end", 500, |n| {
        (0..n).for_each(|it| drain(foreach_parallel!([it], |it| it)));
    }),
    HotPath::between(
        "thread-job",
        "`start_thread_job!` and `join`, one after another",
        500,
        |n| {
            for it in 0..n {
                let job = start_thread_job!(using(it), { it });
                let _ = black_box(job.join());
            }
        },
    ),
    HotPath::between(
        "queued-job",
        "a thread job that waits in a queue, start to join",
        500,
        queued,
    ),
    HotPath::between(
        "invoke",
        "`invoke!` on a pool of one, and `end`",
        500,
        |n| {
            let pool = RunspacePool::builder().min(1).max(1).open();
            let pool = pool.expect("a thread for the pool");
            for it in 0..n {
                let _ = black_box(invoke!(&pool, using(it), { it }).end());
            }
        },
    ),
    HotPath::alone(
        "frame-write",
        "a frame with a number for a worker, written",
        20_000,
        |n| drop(black_box(write(n, |it| it))),
    ),
    HotPath::alone(
        "frame-read",
        "such a frame, written and read",
        20_000,
        |n| {
            write_and_read(n, |it| it);
        },
    ),
    HotPath::alone(
        "record-write",
        "a frame with a record of six fields, written",
        5_000,
        |n| drop(black_box(write(n, Record::new))),
    ),
    HotPath::alone(
        "record-read",
        "such a frame, written and read",
        5_000,
        |n| {
            write_and_read(n, Record::new);
        },
    ),
];

fn drain(items: impl Iterator<Item = impl Sized>) {
    items.for_each(|it| drop(black_box(it)));
}

fn queued(n: u64) {
    let queue = JobQueue::new(1);
    let (signal, wait) = channel::<()>();
    let first = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_err() });
    let jobs: Vec<_> = (0..n)
        .map(|it| start_thread_job!(queue = &queue, using(it), { it }))
        .collect();
    drop(signal);
    let _ = black_box(first.join());
    for job in jobs {
        let _ = black_box(job.join());
    }
}
