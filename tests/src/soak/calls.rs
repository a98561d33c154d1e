//! The calls: small ones of every kind, with failures of every kind, each of which says of itself
//! whether what came out is what should.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use runspace::collections::BlockingCollection;
use runspace::{
    ItemError, JobQueue, JobState, ProcessPool, RunspacePool, foreach_parallel, invoke, start_job,
    start_thread_job,
};

/// One who makes calls, one after the other, in turn.
pub(crate) type Caller = &'static [(&'static str, fn(u64))];

/// Those who call at the same time.
pub(crate) const CALLERS: [Caller; 3] = [
    &[
        ("items on threads", on_threads),
        ("items on rayon", on_rayon),
        ("items on runspaces", on_runspaces),
        ("calls dropped half-way", dropped),
        ("items out of time", out_of_time),
        ("thread jobs", thread_jobs),
        ("journals", journal),
        ("collections", collections),
    ],
    &[
        ("items in processes", in_processes),
        ("items in fresh processes", in_fresh_processes),
        ("process calls dropped half-way", processes_dropped),
        ("items out of time in processes", processes_out_of_time),
    ],
    &[
        ("process jobs", process_jobs),
        ("process jobs stopped", process_jobs_stopped),
        ("programs", programs),
    ],
];

/// What was done.
#[derive(Default)]
pub(crate) struct Calls {
    made: AtomicU64,
    of_kind: Mutex<BTreeMap<&'static str, u64>>,
}

impl Calls {
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    pub(crate) fn repeat(&self, caller: Caller, over: &AtomicBool) {
        // What is injected is no news.
        for seed in 0.. {
            for (kind, call) in caller {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                call(seed);
                self.made.fetch_add(1, Ordering::Relaxed);
                let mut of_kind = self.of_kind.lock().unwrap_or_else(PoisonError::into_inner);
                *of_kind.entry(kind).or_default() += 1;
                drop(of_kind);
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| calls of this kind | made |")?;
        writeln!(f, "|---|---|")?;
        let of_kind = self.of_kind.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, made) in &*of_kind {
            writeln!(f, "| {kind} | {made} |")?;
        }
        writeln!(f, "| all | {} |", self.made())
    }
}

/// Every item has one outcome, and those are failures that are meant to be.
fn check(
    outcomes: impl Iterator<Item = Result<u64, ItemError>>,
    count: u64,
    fails: impl Fn(u64) -> bool,
) {
    let mut seen = vec![false; usize::try_from(count).expect("few")];
    for outcome in outcomes {
        let (index, good) = match &outcome {
            Ok(index) => (*index, true),
            Err(error) => {
                let index = error.index();
                (
                    index.unwrap_or_else(|| panic!("the call failed: {error}")),
                    false,
                )
            }
        };
        assert_eq!(good, !fails(index), "item {index}: {outcome:?}");
        let place = usize::try_from(index).expect("few");
        assert!(
            !std::mem::replace(&mut seen[place], true),
            "item {index} twice"
        );
    }
    assert!(seen.into_iter().all(|it| it), "an item without an outcome");
}

/// A failure that says nothing on stderr.
fn fail(index: u64) -> ! {
    std::panic::resume_unwind(Box::new(format!("item {index}")))
}

fn on_threads(_: u64) {
    let results = foreach_parallel!(0..20_000_u64, throttle = 4, |n| n);
    check(results.outcomes(), 20_000, |_| false);
    let results = foreach_parallel!(0..500_u64, throttle = 4, ordered = true, |n| {
        if n % 50 == 7 {
            fail(n)
        }
        n
    });
    check(results.outcomes(), 500, |n| n % 50 == 7);
    let results = foreach_parallel!(0..100_u64, throttle = 2, retry = 2, |n| {
        if n % 10 == 3 && runspace::attempt() < 3 {
            fail(n)
        }
        n
    });
    check(results.outcomes(), 100, |_| false);
}

fn on_rayon(_: u64) {
    let results = foreach_parallel!(0..5_000_u64, on = rayon, |n| {
        if n % 500 == 99 {
            fail(n)
        }
        n
    });
    check(results.outcomes(), 5_000, |n| n % 500 == 99);
}

fn on_runspaces(_: u64) {
    let pool = RunspacePool::builder().max(3).open().expect("a pool");
    let results = foreach_parallel!(0..500_u64, on = pool(&pool), |n| n);
    check(results.outcomes(), 500, |_| false);
    let invoked: Vec<_> = (0..20_u64)
        .map(|n| invoke!(&pool, using(n), { n * 2 }))
        .collect();
    for (n, invocation) in (0..).zip(invoked) {
        assert_eq!(invocation.end().expect("a value"), n * 2);
    }
}

fn dropped(seed: u64) {
    let mut results = foreach_parallel!(0_u64.., throttle = 3, |n| {
        thread::sleep(Duration::from_micros(n % 100));
        vec![n; 100]
    });
    for _ in 0..seed % 50 + 1 {
        assert!(results.next().is_some());
    }
    match seed % 3 {
        0 => drop(results),
        1 => results.stop(),
        _ => drop(thread::spawn(move || drop(results)).join()),
    }
}

fn out_of_time(_: u64) {
    let timeout = Duration::from_millis(100);
    let results = foreach_parallel!(0..8_u64, throttle = 4, timeout = timeout, |n| {
        while n % 4 == 1 && !runspace::stopping() {
            thread::sleep(Duration::from_millis(1));
        }
        n
    });
    // The others may be late on a busy machine.
    assert_eq!(results.outcomes().count(), 8);
}

fn thread_jobs(_: u64) {
    let queue = JobQueue::new(3);
    let jobs: Vec<_> = (0..40_u64)
        .map(|n| {
            start_thread_job!(queue = &queue, using(n), {
                if n % 8 == 5 {
                    fail(n)
                }
                n
            })
        })
        .collect();
    for (n, job) in (0..).zip(jobs) {
        assert_eq!(job.join().ok(), (n % 8 != 5).then_some(n));
    }
    let endless = start_thread_job!(|job| {
        while !job.stopping() {
            job.emit(1);
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert!(endless.iter().next().is_some());
    endless.stop();
    assert_eq!(endless.wait(), JobState::Stopped);
}

fn journal(_: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.jsonl");
    for resumed in [0, 100] {
        let results = foreach_parallel!(0..100_u64, journal = &path, resume = true, |n| n);
        let journal = results.journal();
        check(results.outcomes(), 100, |_| false);
        assert_eq!(journal.resumed(), resumed);
    }
}

fn collections(_: u64) {
    let gate = BlockingCollection::bounded(4);
    let filling = gate.clone();
    let filler = start_thread_job!(using(filling), {
        for n in 0..200_u64 {
            filling.add(n).expect("open");
        }
        filling.complete_adding();
    });
    let values = std::iter::from_fn(move || gate.take().ok());
    let results = foreach_parallel!(values, throttle = 2, |n| n);
    check(results.outcomes(), 200, |_| false);
    filler.join().expect("it has filled");
}

fn pool() -> ProcessPool {
    ProcessPool::builder()
        .workers(2)
        .idle_timeout(Duration::from_millis(300))
        .grace(Duration::from_millis(100))
        .build()
}

fn in_processes(_: u64) {
    let pool = pool();
    let results = foreach_parallel!(0..2_000_u64, on = process(&pool), |n| n);
    check(results.outcomes(), 2_000, |_| false);
    let results = foreach_parallel!(0..60_u64, on = process(&pool), |n| {
        match n % 20 {
            3 => std::process::abort(),
            9 => std::process::exit(0),
            14 => fail(n),
            _ => n,
        }
    });
    check(results.outcomes(), 60, |n| [3, 9, 14].contains(&(n % 20)));
    let large = (0..4_u64).map(|n| vec![n; 1 << 17]);
    let results = foreach_parallel!(large, on = process(&pool), |it| it);
    assert_eq!(results.map(|it| it.len()).sum::<usize>(), 4 << 17);
}

fn in_fresh_processes(_: u64) {
    let pool = ProcessPool::builder().workers(2).max_items(1).build();
    let results = foreach_parallel!(0..10_u64, on = process(&pool), retry = 1, |n| {
        if n % 5 == 2 && runspace::attempt() == 1 {
            std::process::abort();
        }
        n
    });
    check(results.outcomes(), 10, |_| false);
}

fn processes_dropped(seed: u64) {
    let pool = pool();
    let mut results = foreach_parallel!(0_u64.., on = process(&pool), |n| vec![n; 100]);
    for _ in 0..seed % 50 + 1 {
        assert!(results.next().is_some());
    }
    match seed % 2 {
        0 => drop(results),
        _ => results.stop(),
    }
}

fn processes_out_of_time(_: u64) {
    let pool = pool();
    let timeout = Duration::from_secs(1);
    let results = foreach_parallel!(0..4_u64, on = process(&pool), timeout = timeout, |n| {
        if n == 1 {
            thread::sleep(Duration::from_secs(1000));
        }
        n
    });
    assert_eq!(results.outcomes().count(), 4);
}

fn process_jobs(_: u64) {
    let jobs: Vec<_> = (0..6_u64)
        .map(|n| {
            start_job!(using(n), |job| {
                job.verbose("begins");
                println!("prints");
                match n {
                    2 => std::process::abort(),
                    4 => fail(n),
                    _ => job.emit(n),
                }
            })
        })
        .collect();
    for (n, job) in (0..).zip(jobs) {
        let end = job.join();
        assert_eq!(end.is_err(), n == 2 || n == 4, "job {n}: {end:?}");
    }
}

fn process_jobs_stopped(_: u64) {
    let job = start_job!(grace = Duration::from_millis(100), |job| {
        job.emit(1_u64);
        thread::sleep(Duration::from_secs(1000));
    });
    assert_eq!(job.iter().next(), Some(1));
    job.stop();
    assert_eq!(job.wait(), JobState::Stopped);
    // One that nobody holds.
    drop(start_job!({ 1_u64 }));
}

fn programs(seed: u64) {
    let job = start_job!(file = "echo", args = [seed.to_string()]);
    assert_eq!(job.join().expect("a line"), seed.to_string());
    let job = start_job!(file = "false");
    assert_eq!(job.wait(), JobState::Failed);
}
