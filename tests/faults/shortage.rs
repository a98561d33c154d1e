//! The system gives no more processes, threads, descriptors, memory or space on a disk: fewer of them are used,
//! or there is an error in words.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    Cause, ItemError, Job, JobErrorKind, JournalErrorKind, ProcessPool, foreach_parallel,
    start_job, start_thread_job,
};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::common::{assert_has, fresh, pair, process_error, promptly, workers};
use crate::stage::{Row, pool, process, threads};
use crate::support::census::{by_index, children, crash, failure_of_call, send};
use crate::support::until;

pub const ROWS: &[Row] = &[
    Row {
        id: "A7",
        name: "no_replacement",
        fault: "The system gives no process any more (EAGAIN)",
        outcome: "A job fails promptly in words. A worker that cannot be replaced leaves its items to the others; without others, what waits fails promptly. Afterwards all is as before.",
        tests: &[
            process(a7_process).unprivileged(),
            pool(a7_pool).unprivileged(),
            pool(a7_one_of_two).unprivileged().named("pool_one_of_two"),
        ],
        elsewhere: "On threads: B12.",
    },
    Row {
        id: "A33",
        name: "thirty_descriptors",
        fault: "RLIMIT_NOFILE is 30; no descriptor is left at all",
        outcome: "A call runs on the workers that descriptors suffice for; jobs beyond them, and calls without any, fail in words. Threads need none.",
        tests: &[
            threads(a33_threads),
            process(a33_process),
            pool(a33_pool),
            pool(a33_none_left).named("pool_none_left"),
        ],
        elsewhere: "",
    },
    Row {
        id: "A34",
        name: "no_space",
        fault: "The folder for temporary files is not there or cannot be written to; the disk of a journal becomes full",
        outcome: "No call needs temporary files. A journal that cannot be begun is refused before anything runs; one that cannot go on costs no result, and is told once.",
        tests: &[
            threads(a34_threads).behind(SMALL_FILES),
            process(a34_process).with(&[("TMPDIR", "/proc/nowhere")]),
            pool(a34_pool).behind(SMALL_FILES),
            pool(a34_no_folder)
                .with(&[("TMPDIR", "/proc/nowhere")])
                .named("pool_no_folder"),
        ],
        elsewhere: "",
    },
    Row {
        id: "A39",
        name: "memory_pressure",
        fault: "An item needs more memory than its worker may have (`memory`), again and again",
        outcome: "That item fails, by the name of the signal and the words of the allocator, after its own tries; the others run.                   (Nothing watches the memory of the whole machine: the limit is each worker's. What the system kills is A3.)",
        tests: &[process(a39_process), pool(a39_pool)],
        elsewhere: "Threads share one memory.",
    },
    Row {
        id: "B12",
        name: "no_thread",
        fault: "The system gives no thread any more (EAGAIN), half-way",
        outcome: "A call runs on the threads there are, and fails in words where there is none. Nothing hangs.",
        tests: &[threads(b12_threads)
            .behind("ulimit -v 3000000")
            .with(&[("RUST_MIN_STACK", "268435456")])
            .within(120)],
        elsewhere: "In processes: A7.",
    },
];

/// A limit on the size of files is a disk that is full soon.
const SMALL_FILES: &str = "trap '' XFSZ; ulimit -f 16";

/// Lowers what this process may have; children that are there keep what they had.
fn limit(resource: Resource, to: u64) {
    let maximum = getrlimit(resource).maximum;
    let current = Some(to);
    setrlimit(resource, Rlimit { current, maximum }).unwrap();
}

fn unlimit(resource: Resource) {
    let maximum = getrlimit(resource).maximum;
    setrlimit(
        resource,
        Rlimit {
            current: maximum,
            maximum,
        },
    )
    .unwrap();
}

/// No process and no thread any more: both are counted against the same limit.
fn no_more_processes() {
    limit(Resource::Nproc, 1);
    let error = std::thread::Builder::new().spawn(|| ()).unwrap_err();
    assert_eq!(
        error.kind(),
        io::ErrorKind::WouldBlock,
        "the limit does not bind: {error}"
    );
}

fn assert_refused(text: &str) {
    let refused = "Resource temporarily unavailable";
    assert!(text.contains(refused), "{refused:?} is not in {text:?}");
}

fn a7_process() {
    // With the thread that starts children, and without.
    let held: Job<()> = start_job!({ sleep(Duration::from_secs(1000)) });
    until(|| held.location().process().is_some());
    for first in [true, false] {
        no_more_processes();
        let job = promptly(|| {
            let job: Job<u8> = start_job!(name = "late", { 1 });
            job.wait();
            job
        });
        let error = job.join().unwrap_err();
        assert!(matches!(
            error.kind(),
            JobErrorKind::NoThread(_) | JobErrorKind::Process(_)
        ));
        assert_refused(&error.to_string());
        assert!(error.to_string().contains("late"), "{error}");
        let program = promptly(|| start_job!(file = "true").join().unwrap_err());
        assert_refused(&program.to_string());
        unlimit(Resource::Nproc);
        if first {
            held.stop();
            held.wait();
            until(|| children().is_empty());
            sleep(Duration::from_millis(1500));
        }
    }
    // As good as before.
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
    assert!(start_job!(file = "true").wait() == runspace::JobState::Completed);
}

fn a7_pool() {
    let pool = ProcessPool::builder().workers(2).build();
    let mut outcomes = foreach_parallel!(0..10_000_u32, on = process(&pool), |n| {
        sleep(Duration::from_millis(5));
        (n, std::process::id())
    })
    .outcomes();
    let mut pids = BTreeSet::new();
    while pids.len() < 2 {
        pids.insert(outcomes.next().unwrap().unwrap().1);
    }
    no_more_processes();
    assert!(pids.iter().all(|it| send(Signal::KILL, *it)));
    let rest: Vec<_> = promptly(|| outcomes.collect());
    let errors: Vec<ItemError> = rest.into_iter().filter_map(Result::err).collect();
    let crashed = errors.iter().filter(|it| is_crash(it)).count();
    assert!((1..=2).contains(&crashed), "{errors:?}");
    let of_call: Vec<_> = errors.iter().filter(|it| it.index().is_none()).collect();
    assert_eq!(of_call.len(), 1, "{errors:?}");
    assert_refused(&of_call[0].to_string());
    unlimit(Resource::Nproc);
    let sum: u32 = foreach_parallel!(0..10_u32, on = process(&pool), |n| n).sum();
    assert_eq!(sum, 45);
}

fn is_crash(error: &ItemError) -> bool {
    matches!(error.cause(), Cause::Process(it) if it.crash().is_some())
}

fn a7_one_of_two() {
    let pool = ProcessPool::builder().workers(2).build();
    let mut outcomes = foreach_parallel!(0..400_u64, on = process(&pool), retry = 2, |n| {
        sleep(Duration::from_millis(2));
        (n, std::process::id(), runspace::attempt())
    })
    .outcomes();
    let mut before: Vec<Result<(u64, u32, u32), ItemError>> = Vec::new();
    let mut pids = BTreeSet::new();
    while pids.len() < 2 {
        let outcome = outcomes.next().unwrap();
        pids.insert(outcome.as_ref().unwrap().1);
        before.push(outcome);
    }
    no_more_processes();
    let victim = *pids.first().unwrap();
    assert!(send(Signal::KILL, victim));
    let outcomes = before.into_iter().chain(outcomes);
    let all = promptly(|| by_index(outcomes, |it| it.0, 400));
    // Not even the item that the one has died of: the other has tried it again.
    let tries: u32 = all.values().map(|it| it.as_ref().unwrap().2).sum();
    assert!((400..=401).contains(&tries), "{tries}");
    assert!(
        all.values()
            .all(|it| pids.contains(&it.as_ref().unwrap().1))
    );
}

fn a33_pool() {
    limit(Resource::Nofile, 30);
    for ordered in [false, true] {
        let outcomes = foreach_parallel!(
            0..300_u64,
            on = process,
            throttle = 24,
            ordered = ordered,
            |n| {
                sleep(Duration::from_millis(3));
                (n, std::process::id())
            }
        )
        .outcomes();
        let all = by_index(outcomes, |it| it.0, 300);
        let pids: BTreeSet<u32> = all.values().map(|it| it.as_ref().unwrap().1).collect();
        assert!((2..=8).contains(&pids.len()), "{} workers", pids.len());
    }
    // A call whose workers may have few themselves; the others have to go first.
    until(|| children().is_empty());
    let pool = ProcessPool::builder().workers(4).open_files(20).build();
    let sum: u64 = foreach_parallel!(0..100_u64, on = process(&pool), |n| n).sum();
    assert_eq!(sum, 4950);
}

fn a33_process() {
    limit(Resource::Nofile, 30);
    let jobs: Vec<Job<u8>> = (0..24)
        .map(|_| {
            start_job!({
                sleep(Duration::from_millis(500));
                7
            })
        })
        .collect();
    let ends: Vec<_> = promptly(|| jobs.into_iter().map(Job::join).collect());
    let good = ends.iter().filter(|it| matches!(it, Ok(7))).count();
    assert!(good >= 2, "{ends:?}");
    for error in ends.iter().filter_map(|it| it.as_ref().err()) {
        let text = error.to_string();
        assert!(text.contains("Too many open files"), "{text}");
    }
    assert!(good < 24, "the limit does not bind");
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
    assert_eq!(start_job!(file = "echo", args = ["a"]).join().unwrap(), "a");
}

fn a33_none_left() {
    limit(Resource::Nofile, 30);
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    let outcomes = foreach_parallel!(0..100_u32, on = process, |n| n).outcomes();
    let error = promptly(|| failure_of_call(outcomes));
    assert!(error.to_string().contains("Too many open files"), "{error}");
    let error = promptly(|| start_job!({ 1 }).join().unwrap_err());
    assert!(error.to_string().contains("Too many open files"), "{error}");
    let error = promptly(|| start_job!(file = "/bin/sh").join().unwrap_err());
    assert!(error.to_string().contains("Too many open files"), "{error}");
    // Threads need none.
    assert_eq!(
        foreach_parallel!(0..100_u32, throttle = 8, |n| n).sum::<u32>(),
        4950
    );
    drop(files);
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

fn b12_threads() {
    let now = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let outcomes = foreach_parallel!(0..200, throttle = 64, using(&now, &most), |n| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        n
    })
    .outcomes();
    assert_eq!(outcomes.filter(Result::is_ok).count(), 200);
    let most = most.into_inner();
    assert!((1..64).contains(&most), "{most}");

    // Calls that hold their threads, until there is none for another.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let held: Vec<_> = (0..20)
        .map(|_| {
            foreach_parallel!(0..4, throttle = 4, using(wait.clone()), |_n| {
                let _ = wait.lock().unwrap().recv();
            })
        })
        .collect();
    let failed: Vec<_> = foreach_parallel!(0..3, |n| n).outcomes().collect();
    let causes: Vec<_> = failed.iter().filter_map(|it| it.as_ref().err()).collect();
    let refused = causes
        .iter()
        .find(|it| matches!(it.cause(), Cause::NoThread(_)));
    let refused = refused.expect("a call without threads says so");
    assert!(refused.to_string().contains("no thread"), "{refused}");
    drop(go);
    for results in held {
        // Some of them had no thread either: they end all the same.
        assert!(results.outcomes().count() <= 5);
    }
    assert_eq!(foreach_parallel!(0..3, |n| n).sum::<i32>(), 3);
}

/// Takes all descriptors that this process may have.
fn all_descriptors() -> Vec<std::fs::File> {
    limit(Resource::Nofile, 30);
    std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect()
}

fn a33_threads() {
    let files = all_descriptors();
    assert_eq!(
        foreach_parallel!(0..100_u32, throttle = 8, |n| n).sum::<u32>(),
        4950
    );
    assert_eq!(
        foreach_parallel!(0..100_u32, on = rayon, |n| n).sum::<u32>(),
        4950
    );
    assert_eq!(start_thread_job!({ 5 }).join().unwrap(), 5);
    drop(files);
}

/// All results are there, and one failure, which is the journal's.
macro_rules! disk_becomes_full {
    ($($on:tt)*) => {{
        let outcomes = foreach_parallel!(0..9_u64, on = $($on)*, journal = "/dev/full", |n| n);
        let errors: Vec<_> = outcomes.outcomes().map(Result::unwrap_err).collect();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(matches!(errors[0].cause(), Cause::Journal(_)), "{errors:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        let outcomes = foreach_parallel!(0..200_u64, on = $($on)*, journal = &path, |n| n).outcomes();
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (200, 1));
        let error = bad.into_iter().next().unwrap().unwrap_err();
        let Cause::Journal(of_journal) = error.cause() else { panic!("{error}") };
        assert!(matches!(of_journal.kind(), JournalErrorKind::Write(_)), "{error}");
    }};
}

fn a34_threads() {
    disk_becomes_full!(thread);
}

fn a34_pool() {
    disk_becomes_full!(process(&pair()));
    disk_becomes_full!(process(&fresh()));
}

fn a34_process() {
    assert!(tempfile::tempfile().is_err());
    let large = vec![7_u8; 20 << 20];
    let job = start_job!(using(large), { (large.len(), large) });
    assert_eq!(job.join().unwrap().1.len(), 20 << 20);
    assert_eq!(start_job!(file = "echo", args = ["a"]).join().unwrap(), "a");
}

fn a34_no_folder() {
    assert!(tempfile::tempfile().is_err());
    let items = (0..4_u8).map(|n| vec![n; 5 << 20]);
    let lengths = foreach_parallel!(items, on = process(&pair()), |it| it.len());
    assert_eq!(lengths.sum::<usize>(), 20 << 20);
}

fn a39_process() {
    let error = process_error(start_job!(memory = 400 << 20, {
        std::hint::black_box(vec![1_u8; 1 << 30]).len()
    }));
    assert_eq!(error.crash().unwrap().exit().signal_name(), Some("SIGABRT"));
    assert_has(
        &error.to_string(),
        &["memory allocation of 1073741824 bytes failed"],
    );
    assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
}

fn a39_pool() {
    let pool = workers(2).memory(400 << 20).build();
    let outcomes = foreach_parallel!(0..12_u64, on = process(&pool), retry = 2, |n| {
        let size = if n == 5 { 1 << 30 } else { 1 << 20 };
        std::hint::black_box(vec![1_u8; size]).len();
        assert_eq!(runspace::attempt(), 1);
        n
    });
    for (index, outcome) in by_index(outcomes.outcomes(), |n| *n, 12) {
        let Err(error) = outcome else { continue };
        assert_eq!((index, error.attempt()), (5, 3), "{error}");
        assert_eq!(crash(&error).exit().signal_name(), Some("SIGABRT"));
        assert_has(&error.to_string(), &["memory allocation of"]);
    }
}
