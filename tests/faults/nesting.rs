//! Calls in calls, jobs in jobs, and waits that hold something.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{
    Job, JobQueue, RunspacePool, foreach_parallel, invoke, start_job, start_thread_job,
};

use crate::common::{assert_has, pair};
use crate::stage::{Row, note, pool, process, threads};
use crate::support::bodies::{jobs_down, loops_down};

pub const ROWS: &[Row] = &[
    Row {
        id: "A30",
        name: "nested_eleven_deep",
        fault: "Calls in calls, jobs in jobs, eleven levels deep; the same within a worker",
        outcome: "On threads it comes to its end. Processes end in words at the tenth level: no bomb.",
        tests: &[
            threads(a30_threads).within(120),
            process(a30_process).within(120),
            pool(a30_pool).within(120),
            pool(a30_threads_in_worker).named("pool_threads_in_worker"),
        ],
        elsewhere: "",
    },
    Row {
        id: "B1",
        name: "lock_held_while_waiting",
        fault: "A body holds a lock that others want, and waits for a call of its own",
        outcome: "It comes to its end: who waits runs no item of another.",
        tests: &[threads(b1_threads), pool(b1_pool)],
        elsewhere: "A process per job shares no lock.",
    },
    Row {
        id: "B2",
        name: "waits_for_its_own_queue",
        fault: "A job waits for jobs of its own queue, whose throttle is 1",
        outcome: "It comes to its end: who waits lends its place.",
        tests: &[threads(b2_threads), process(b2_process)],
        elsewhere: "A pool has no queue of jobs: an item that calls its own kind of call is A30.",
    },
];

/// How many threads there were at most.
static MOST_THREADS: AtomicUsize = AtomicUsize::new(0);

fn look() {
    let threads = fs::read_dir("/proc/self/task").unwrap().count();
    MOST_THREADS.fetch_max(threads, Ordering::Relaxed);
}

fn down(depth: u32) -> u32 {
    look();
    if depth == 0 {
        return 1;
    }
    foreach_parallel!(0..2, throttle = 2, using(depth), |_n| down(depth - 1)).sum()
}

fn on_rayon(depth: u32) -> u32 {
    look();
    if depth == 0 {
        return 1;
    }
    foreach_parallel!(0..2, on = rayon, using(depth), |_n| on_rayon(depth - 1)).sum()
}

fn a30_threads() {
    assert_eq!(down(11), 2048);
    note(format!(
        "{} threads at most",
        MOST_THREADS.swap(0, Ordering::Relaxed)
    ));
    assert_eq!(on_rayon(11), 2048);
    note(format!(
        "{} threads at most with rayon",
        MOST_THREADS.load(Ordering::Relaxed)
    ));
}

fn a30_threads_in_worker() {
    let pool = pair();
    let sums = foreach_parallel!([8, 8], on = process(&pool), |depth| down(depth));
    assert!(sums.eq([256, 256]));
}

fn a30_process() {
    let (depth, text) = jobs_down(0);
    assert_eq!(depth, 10, "{text}");
    assert_has(
        &text,
        &[
            "already 10 levels of jobs deep",
            "does every job start one more?",
        ],
    );
    note("10 levels of processes");
}

fn a30_pool() {
    let (depth, text) = loops_down(0);
    assert_eq!(depth, 10, "{text}");
    assert_has(&text, &["already 10 levels of jobs deep"]);
    note("10 levels of processes");
}

macro_rules! lock_held {
    ($inner:tt, $($on:tt)*) => {{
        static LOCK: Mutex<u32> = Mutex::new(0);
        let results = foreach_parallel!(0..20_u32, on = $($on)*, throttle = 4, |_n| {
            let mut sum = LOCK.lock().unwrap();
            *sum += foreach_parallel!(0..50_u32, on = $inner, throttle = 2, |n| n).sum::<u32>();
        });
        assert_eq!(results.count(), 20);
        let sum = *LOCK.lock().unwrap();
        sum
    }};
}

fn b1_threads() {
    assert_eq!(lock_held!(thread, thread), 20 * 1225);
    assert_eq!(lock_held!(rayon, thread), 20 * 1225);
    assert_eq!(lock_held!(rayon, rayon), 20 * 1225);
    assert_eq!(lock_held!(thread, rayon), 20 * 1225);
    // A runspace that waits for others of its pool.
    let pool = RunspacePool::builder().max(1).open().unwrap();
    let inner = pool.clone();
    let outer = invoke!(&pool, using(inner), {
        invoke!(&inner, { 5 }).end().unwrap()
    });
    assert_eq!(outer.end().unwrap(), 5);
}

fn b1_pool() {
    // The lock is each worker's own.
    assert_eq!(lock_held!(thread, process(&pair())), 0);
    assert_eq!(lock_held!(rayon, process(&pair())), 0);
}

fn b2_threads() {
    let queue = JobQueue::new(1);
    let inner = queue.clone();
    let outer = start_thread_job!(queue = &queue, using(inner), {
        let jobs: Vec<Job<u64>> = (0..10_u64)
            .map(|n| start_thread_job!(queue = &inner, using(n), { n }))
            .collect();
        jobs.into_iter().map(|it| it.join().unwrap()).sum::<u64>()
    });
    assert_eq!(outer.join().unwrap(), 45);
}

fn b2_process() {
    let queue = JobQueue::new(1);
    let running = start_thread_job!(queue = &queue, { start_job!({ 6 * 7 }).join().unwrap() });
    assert_eq!(running.join().unwrap(), 42);
    // A queue there, of the process of a job.
    let job = start_job!({
        JobQueue::global().set_throttle(1);
        let outer = start_thread_job!({ start_thread_job!({ 5 }).join().unwrap() });
        outer.join().unwrap()
    });
    assert_eq!(job.join().unwrap(), 5);
}
