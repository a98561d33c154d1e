//! Workers that are used up, kept and let go in numbers: what ends a worker on purpose is nobody's failure.

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use runspace::{Job, ProcessPool, foreach_parallel, start_job, start_thread_job};

use crate::common::{MS, assert_has, pair, workers};
use crate::stage::{Row, note, pool, process, threads};
use crate::support::bodies::{broken, leave_at_once};
use crate::support::census::{by_index, descriptors, failure_of_call};
use crate::support::until;

pub const ROWS: &[Row] = &[
    Row {
        id: "A26",
        name: "a_worker_for_each_item",
        fault: "A new worker after 1 or 2 items, with a backlog",
        outcome: "All items finish, and no worker has run more items than it may.",
        tests: &[pool(a26_pool).within(240)],
        elsewhere: "A process per job is one for each by itself. Threads are not replaced.",
    },
    Row {
        id: "A27",
        name: "leak_of_memory",
        fault: "Items leak 3 MB each, 300 times",
        outcome: "Workers are replaced between items (`max_growth`); none holds more than the bound and what it leaks in one look.",
        tests: &[pool(a27_pool).within(240)],
        elsewhere: "What a job leaks goes with its process. Threads share one memory.",
    },
    Row {
        id: "A28",
        name: "goes_idle_as_it_is_wanted",
        fault: "Workers and threads go after 10 ms without work, and work comes every 10 ms",
        outcome: "No item is lost, nothing hangs.",
        tests: &[threads(a28_threads).within(120), pool(a28_pool).within(120)],
        elsewhere: "A process per job waits for no work.",
    },
    Row {
        id: "A29",
        name: "init_fails",
        fault: "`init(..)` panics, or its worker dies in it, each time",
        outcome: "The call fails once, with that text, and no item runs. The pool is as good as before.",
        tests: &[
            threads(a29_threads),
            pool(a29_pool),
            pool(a29_dies).named("pool_dies"),
        ],
        elsewhere: "A job has no `init`: what it does first is its body, A1.",
    },
    Row {
        id: "A31",
        name: "descriptors_after_1000_items",
        fault: "1000 items or jobs",
        outcome: "The descriptors are the same as before, in this process and in each worker; a worker has its own few and none of its parent's.",
        tests: &[
            threads(a31_threads),
            process(a31_process).within(120),
            pool(a31_pool),
        ],
        elsewhere: "",
    },
    Row {
        id: "A40",
        name: "a_million_items",
        fault: "A million items that do nothing; 200 000 in processes",
        outcome: "Memory stays flat: less than 8 bytes an item, whatever the number.",
        tests: &[threads(a40_threads).within(120), pool(a40_pool).within(240)],
        elsewhere: "A process per job is not for items that do nothing: 20 jobs in a row are measured in the benches.",
    },
    Row {
        id: "A44",
        name: "few_processors",
        fault: "An affinity mask of one processor",
        outcome: "The default throttle of a call is 5, wherever it runs: what blocks needs no processor. \
                  Rayon's pool is as large as the mask, and so is what an automatic throttle begins with.",
        tests: &[
            threads(a44_threads).behind(ONE_PROCESSOR),
            process(a44_process).behind(ONE_PROCESSOR),
            pool(a44_pool).behind(ONE_PROCESSOR),
        ],
        elsewhere: "Quotas of control groups are read by the standard library (`available_parallelism`), and not here once more.",
    },
];

const ONE_PROCESSOR: &str = "taskset -p -c 0 $$ > /dev/null";

fn a26_pool() {
    for (workers, items) in [(1, 1), (3, 1), (4, 2)] {
        let pool = crate::common::workers(workers).max_items(items).build();
        let outcomes = foreach_parallel!(0..300_u64, on = process(&pool), buffer = 300, |n| {
            (n, std::process::id())
        })
        .outcomes();
        let mut uses: BTreeMap<u32, u64> = BTreeMap::new();
        for outcome in by_index(outcomes, |it| it.0, 300).into_values() {
            *uses.entry(outcome.unwrap().1).or_default() += 1;
        }
        assert!(uses.values().all(|it| *it <= items), "{uses:?}");
    }
}

fn a27_pool() {
    const LEAK: u64 = 3 << 20;
    let pool = workers(2).max_growth(60 << 20).build();
    let outcomes = foreach_parallel!(0..300_u64, on = process(&pool), |n| {
        std::mem::forget(std::hint::black_box(vec![1_u8; LEAK as usize]));
        let pages = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        (n, std::process::id(), pages * 4096)
    })
    .outcomes();
    let mut held: BTreeMap<u32, u64> = BTreeMap::new();
    for outcome in by_index(outcomes, |it| it.0, 300).into_values() {
        let (_, pid, bytes) = outcome.unwrap();
        let most = held.entry(pid).or_default();
        *most = bytes.max(*most);
    }
    // A look at its own memory every 10 ms: a worker is late by what it leaks in that time.
    assert!(held.len() >= 4, "{} workers for {} MB", held.len(), 300 * 3);
    assert!(held.values().all(|it| *it < 400 << 20), "{held:?}");
}

fn a28_pool() {
    let pool = ProcessPool::builder()
        .workers(3)
        .idle_timeout(Duration::from_millis(10))
        .build();
    for round in 0..60_u64 {
        let sum: u64 = foreach_parallel!(0..6_u64, on = process(&pool), |n| n).sum();
        assert_eq!(sum, 15);
        // About as long as they are kept, so that both happen: one is taken, one goes.
        sleep(Duration::from_micros(9_000 + round % 20 * 100));
    }
    // The same within a call whose items come as slowly.
    let slow = (0..60_u64).inspect(|n| sleep(Duration::from_micros(9_000 + n % 20 * 100)));
    let outcomes = foreach_parallel!(slow, on = process(&pool), |n| n).outcomes();
    assert!(by_index(outcomes, |n| *n, 60).values().all(Result::is_ok));
}

fn a28_threads() {
    let pool = runspace::RunspacePool::builder()
        .max(3)
        .idle_timeout(Duration::from_millis(10))
        .open()
        .unwrap();
    for round in 0..100_u64 {
        let sum: u64 = foreach_parallel!(0..6_u64, on = pool(&pool), |n| n).sum();
        assert_eq!(sum, 15);
        sleep(Duration::from_micros(9_000 + round % 20 * 100));
    }
}

macro_rules! init_fails {
    ($($on:tt)*) => {{
        let results = foreach_parallel!(0..100_u64, on = $($on)*, init(state = broken()), |n| {
            println!("an item has run");
            n + state
        });
        let error = failure_of_call(results.outcomes());
        assert!(matches!(error.cause(), runspace::Cause::InitPanicked(_)), "{error:?}");
        assert_has(&error.to_string(), &["no state today"]);
        assert_eq!(foreach_parallel!(0..10_u64, on = $($on)*, |n| n).sum::<u64>(), 45);
    }};
}

fn a29_threads() {
    init_fails!(thread);
    init_fails!(rayon);
}

fn a29_pool() {
    let pool = pair();
    init_fails!(process(&pool));
}

fn a29_dies() {
    let pool = pair();
    let results = foreach_parallel!(
        0..100_u64,
        on = process(&pool),
        init(it = leave_at_once()),
        |n| n + it
    );
    let error = failure_of_call(results.outcomes());
    assert_eq!(
        crate::support::census::crash(&error).exit(),
        runspace::Exit::Code(7)
    );
    assert_has(&error.to_string(), &["cannot begin"]);
}

/// What a worker has open is its streams, its channel, and what it is told about its parent's end by.
const FEW: usize = 8;

fn a31_threads() {
    let run = || assert_eq!(foreach_parallel!(0..1000, |n| n).count(), 1000);
    run();
    let before = descriptors();
    run();
    for _ in 0..1000 {
        start_thread_job!({ 5 }).join().unwrap();
    }
    assert_eq!(descriptors(), before);
}

fn a31_process() {
    // Held here, and nobody else's.
    let mine: Vec<_> = (0..50)
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    let before = descriptors().len();
    for round in 0..20 {
        let jobs: Vec<Job<usize>> = (0..50)
            .map(|_| start_job!({ descriptors().len() }))
            .collect();
        for job in jobs {
            let there = job.join().unwrap();
            assert!(there <= FEW, "{there} in a job of round {round}");
        }
    }
    // Those of the template and of one spare.
    until(|| descriptors().len() <= before + 8);
    drop(mine);
}

fn a31_pool() {
    let mine: Vec<_> = (0..50)
        .map(|_| fs::File::open("/dev/null").unwrap())
        .collect();
    let pool = workers(1).build();
    let results = foreach_parallel!(0..1000, on = process(&pool), ordered = true, |_n| {
        descriptors().len()
    });
    let counts: Vec<usize> = results.collect();
    assert_eq!(counts.first(), counts.last());
    assert!(counts[0] <= FEW, "{}", counts[0]);
    note(format!("{} descriptors in a worker", counts[0]));
    drop(mine);
}

/// The resident memory of this process.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Runs `call`, which is of so many items, a few times, and says how much memory an item costs.
fn stays_flat(items: u64, call: impl Fn() -> u64) {
    assert_eq!(call(), items * (items - 1) / 2);
    let (before, start) = (resident(), std::time::Instant::now());
    for _ in 0..2 {
        call();
    }
    let growth = resident().saturating_sub(before);
    let rate = 2.0 * items as f64 / start.elapsed().as_secs_f64();
    note(format!(
        "{:.2} bytes and {:.0} ns an item, unoptimised",
        growth as f64 / (2.0 * items as f64),
        1e9 / rate
    ));
    assert!(growth < 8 * items, "{growth} bytes");
}

fn a40_threads() {
    stays_flat(1_000_000, || {
        foreach_parallel!(0..1_000_000_u64, throttle = 2, |n| n).sum()
    });
}

fn a40_pool() {
    let pool = pair();
    stays_flat(200_000, || {
        foreach_parallel!(0..200_000_u64, on = process(&pool), |n| n).sum()
    });
}

/// How many of twenty calls that wait ran at once.
macro_rules! at_once {
    ($($on:tt)*) => {{
        let spans: Vec<(Duration, Duration)> = foreach_parallel!(0..20, on = $($on)*, |_n| {
            let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            let start = clock();
            sleep(100 * MS);
            (start, clock())
        })
        .collect();
        spans.iter().map(|(start, _)| spans.iter().filter(|it| it.0 <= *start && *start < it.1).count()).max().unwrap()
    }};
}

fn processors() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

fn a44_threads() {
    assert_eq!(processors(), 1);
    assert_eq!(at_once!(thread), 5);
    let pool = rayon::ThreadPoolBuilder::new().build().unwrap();
    assert_eq!(pool.current_num_threads(), 1);
    let results = foreach_parallel!(0..3, throttle = runspace::Throttle::auto(), |n| n);
    let throttle = results.throttle().get();
    note(format!("an automatic throttle begins with {throttle}"));
    assert!((1..=2).contains(&throttle), "{throttle}");
    assert_eq!(results.count(), 3);
}

fn a44_process() {
    let job = start_job!({ processors() });
    assert_eq!(job.join().unwrap(), 1);
}

fn a44_pool() {
    assert_eq!(at_once!(process), 5);
}
