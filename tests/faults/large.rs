//! Values of more bytes than 31 bits can count cross whole, in both directions; where there is no memory for
//! them, that is said in words.
//!
//! What is sent is mostly pages that nobody has touched, which take no memory here: the other side's copy
//! is the one that does, 2.2 GB at a time.

use std::fs;
use std::time::Duration;

use runspace::{Job, ProcessPool, ProcessPoolBuilder, foreach_parallel, start_job};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::{Row, Test, pool, process, skip, threads};
use crate::support::census::{by_index, crash};

pub const ROWS: &[Row] = &[Row {
    id: "A12",
    name: "two_gigabytes",
    fault: "An argument, an item, a result of 2.2 GB; the same where there is no memory for it",
    outcome: "It comes through whole, with one copy. Without the memory, that item or job fails in words, and the others run.",
    tests: &[
        threads(a12_threads),
        large_one(process(argument)),
        large_one(process(result)).named("process_result"),
        process(no_memory_in_job)
            .named("process_no_memory")
            .within(120),
        large_one(pool(item)),
        large_one(pool(result_of_item)).named("pool_result"),
        pool(no_memory_in_worker)
            .named("pool_no_memory")
            .within(120),
        pool(no_memory_here)
            .named("pool_no_memory_here")
            .within(120),
    ],
    elsewhere: "",
}];

const fn large_one(test: Test) -> Test {
    test.within(180)
}

const LENGTH: usize = 2_200_000_000;

/// Bytes with a mark at the start, at the end, and where 31 and 32 bits are full, if they come so far.
fn large() -> Vec<u8> {
    let mut bytes = vec![0; LENGTH];
    for place in places() {
        bytes[place] = 1 + (place % 251) as u8;
    }
    bytes
}

fn places() -> [usize; 4] {
    [0, (1 << 31) - 1, 1 << 31, LENGTH - 1]
}

/// The length and the marks.
fn marks(bytes: &[u8]) -> (usize, [u8; 4]) {
    (bytes.len(), places().map(|it| bytes[it]))
}

fn expected() -> (usize, [u8; 4]) {
    (LENGTH, places().map(|it| 1 + (it % 251) as u8))
}

/// Whether this machine has the memory for one such value, and some to spare.
fn needs_memory() {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("MemAvailable:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    if kib < 3_500_000 {
        skip(format!("{kib} KiB of memory are not enough"));
    }
}

/// The most memory that this process has held at once.
fn most_held() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

fn a12_threads() {
    let results = foreach_parallel!([large()], throttle = 1, |bytes| bytes);
    assert_eq!(marks(&results.into_iter().next().unwrap()), expected());
    assert!(most_held() < 1 << 30);
}

fn argument() {
    needs_memory();
    let job = start_job!(using(bytes = large()), { (marks(&bytes), most_held()) });
    let (seen, held) = job.join().unwrap();
    assert_eq!(seen, expected());
    // Straight into the memory of the vector: no second copy.
    assert!(held < LENGTH as u64 + (400 << 20), "{held} bytes");
}

fn result() {
    needs_memory();
    let job = start_job!({ large() });
    assert_eq!(marks(&job.join().unwrap()), expected());
}

fn item() {
    needs_memory();
    let pool = one().build();
    let items = (0..2).map(|n| if n == 0 { large() } else { vec![7; 10] });
    let results = foreach_parallel!(items, on = process(&pool), ordered = true, |bytes| {
        match bytes.len() {
            LENGTH => (marks(&bytes), most_held()),
            small => ((small, [bytes[0]; 4]), 0),
        }
    });
    let results: Vec<_> = results.collect();
    assert_eq!((results[0].0, results[1].0), (expected(), (10, [7; 4])));
    assert!(results[0].1 < LENGTH as u64 + (400 << 20), "{results:?}");
}

fn result_of_item() {
    needs_memory();
    let pool = one().build();
    let results = foreach_parallel!(0..2, on = process(&pool), ordered = true, |n| {
        if n == 0 { large() } else { vec![7; 10] }
    });
    let mut results = results;
    assert_eq!(marks(&results.next().unwrap()), expected());
    assert_eq!(results.next().unwrap(), [7; 10]);
}

fn no_memory_in_job() {
    let job: Job<usize> = start_job!(memory = 1 << 30, using(bytes = large()), { bytes.len() });
    let text = job.join().unwrap_err().to_string();
    assert!(
        text.contains("no memory for a message of 2200000000 bytes"),
        "{text}"
    );
}

fn no_memory_in_worker() {
    let pool = one().memory(1 << 30).build();
    let items = (0..3).map(|n| if n == 1 { large() } else { vec![7; 10] });
    let outcomes = foreach_parallel!(items, on = process(&pool), ordered = true, |bytes| {
        bytes.len()
    });
    let all: Vec<_> = outcomes.outcomes().collect();
    assert_eq!(
        (all[0].as_ref().ok(), all[2].as_ref().ok()),
        (Some(&10), Some(&10))
    );
    let error = all[1].as_ref().unwrap_err();
    assert_eq!(
        (error.index(), crash(error).exit().signal_name()),
        (Some(1), Some("SIGKILL"))
    );
    let text = error.to_string();
    assert!(
        text.contains("no memory for a message of 2200000000 bytes"),
        "{text}"
    );
}

fn no_memory_here() {
    // Workers may have what this process may not.
    let pool = one().build();
    assert_eq!(
        foreach_parallel!(0..1, on = process(&pool), |n| n).count(),
        1
    );
    let results = foreach_parallel!(0..3_u64, on = process(&pool), |n| {
        let size = if n == 1 { LENGTH } else { 10 };
        unlimited();
        (n, vec![7_u8; size])
    });
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(1_500_000_000);
    setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
    let all = by_index(results.outcomes().map(|it| it.map(|it| it.0)), |n| *n, 3);
    assert!(all[&0].is_ok() && all[&2].is_ok(), "{all:?}");
    let text = all[&1].as_ref().unwrap_err().to_string();
    assert!(
        text.contains("no memory for a message of 2200000000 bytes"),
        "{text}"
    );
}

/// A pool of one worker that is soon gone.
fn one() -> ProcessPoolBuilder {
    let pool = ProcessPool::builder().workers(1);
    pool.idle_timeout(Duration::from_millis(100))
}

/// Nothing that an ancestor has lowered holds here.
fn unlimited() {
    let maximum = getrlimit(Resource::As).maximum;
    setrlimit(
        Resource::As,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}
