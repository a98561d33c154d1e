//! Each system call that makes a thread, a process or a descriptor fails once, and from some call on: every item has
//! one outcome, or its call fails in words. Nothing hangs, and no process is left.
//!
//! Each try is a process of its own, so that no kept thread and no idle worker spares it the calls.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::fmt::Display;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{
    Cause, Job, JobState, Plan, ProcessPool, Runspace, RunspacePool, foreach_parallel, invoke,
    pipeline, start_job, start_thread_job,
};
use support::inject::{Calls, Fails, inject};

const MS: Duration = Duration::from_millis(1);

/// How many items each call has.
const COUNT: u64 = 12;

/// What a try answers: how it went, in a few words.
type Scenario = (&'static str, fn() -> Ends);

/// What came of the items of a call.
type Outcomes = Vec<Result<u64, runspace::ItemError>>;

/// What came of it all, for who looks whether that is right.
enum Ends {
    Call(Outcomes, u64),
    /// Values by their number, and why there are no more.
    Values(Vec<u64>, u64, Option<String>),
}

fn call(outcomes: impl Iterator<Item = Result<u64, runspace::ItemError>>) -> Ends {
    Ends::Call(outcomes.collect(), COUNT)
}

fn one<E: Display>(end: Result<u64, E>) -> Ends {
    match end {
        Ok(value) => Ends::Values(vec![value], 1, None),
        Err(error) => Ends::Values(Vec::new(), 1, Some(error.to_string())),
    }
}

fn job(job: Job<u64>) -> Ends {
    let state = job.wait();
    let values = job.receive();
    let reason = match state {
        JobState::Completed => None,
        _ => Some(
            job.join()
                .map_or_else(|it| it.to_string(), |_| "no error".to_owned()),
        ),
    };
    Ends::Values(values, COUNT, reason)
}

fn lazy() -> impl Iterator<Item = u64> + Send {
    (0..COUNT).inspect(|_| ())
}

fn nap(n: u64) -> u64 {
    sleep(2 * MS);
    n
}

/// What the system says where it refuses something.
const REFUSALS: [&str; 2] = ["Resource temporarily unavailable", "Too many open files"];

fn assert_in_words(text: &str) {
    assert!(
        REFUSALS.iter().any(|it| text.contains(it)),
        "this does not say what was refused: {text}"
    );
}

impl Ends {
    /// Every item has one outcome, or the call has failed, in words.
    fn judge(self) {
        match self {
            Self::Call(outcomes, count) => judge(outcomes, count),
            Self::Values(mut values, count, reason) => {
                values.sort_unstable();
                let all = values.iter().copied().eq(0..count);
                let is_part =
                    values.is_sorted_by(|a, b| a < b) && values.iter().all(|it| *it < count);
                assert!(is_part, "{values:?}");
                match reason {
                    None => assert!(all, "lost in silence: {values:?}"),
                    Some(reason) => assert_in_words(&reason),
                }
            }
        }
    }
}

fn judge(outcomes: Outcomes, count: u64) {
    let mut seen = vec![0; usize::try_from(count).unwrap()];
    let mut of_call = Vec::new();
    let mut stopped = 0;
    for outcome in outcomes {
        let index = match &outcome {
            Ok(index) => Some(*index),
            // No item more was made: that is the end of the input.
            Err(error) if matches!(error.cause(), Cause::InputPanicked(_)) => None,
            Err(error) => error.index(),
        };
        if let Err(error) = &outcome {
            match error.is_stopped() {
                true => stopped += 1,
                false => assert_in_words(&error.to_string()),
            }
        }
        match index {
            Some(index) => seen[usize::try_from(index).unwrap()] += 1,
            None => of_call.push(outcome.unwrap_err().to_string()),
        }
    }
    assert!(seen.iter().all(|it| *it <= 1), "two outcomes: {seen:?}");
    assert!(of_call.len() <= 1, "{of_call:?}");
    if of_call.is_empty() {
        assert!(seen.iter().all(|it| *it == 1), "lost in silence: {seen:?}");
        assert_eq!(stopped, 0, "nobody has stopped the call");
    }
}

const THREADS: &[Scenario] = &[
    ("range", || {
        call(foreach_parallel!(0..COUNT, throttle = 3, |n| nap(n)).outcomes())
    }),
    ("lazy", || {
        call(foreach_parallel!(lazy(), throttle = 3, |n| nap(n)).outcomes())
    }),
    ("ordered", || {
        call(foreach_parallel!(lazy(), throttle = 3, ordered = true, |n| nap(n)).outcomes())
    }),
    ("ordered_emit", || {
        let outcomes = foreach_parallel!(
            0..COUNT,
            throttle = 3,
            ordered = true,
            buffer = 3,
            |n, job| {
                job.emit(nap(n));
            }
        );
        call(outcomes.outcomes())
    }),
    ("timeout", || {
        let limit = Duration::from_secs(5);
        call(foreach_parallel!(lazy(), throttle = 3, timeout = limit, |n| nap(n)).outcomes())
    }),
    ("relaunch_after_a_timeout", || {
        let outcomes =
            foreach_parallel!(0..COUNT, throttle = 2, timeout = 40 * MS, retry = 1, |n| {
                if runspace::attempt() == 1 && n % 4 == 1 {
                    sleep(150 * MS);
                }
                nap(n)
            });
        call(outcomes.outcomes())
    }),
    ("retry", || {
        let outcomes = foreach_parallel!(0..COUNT, throttle = 3, retry = 2, |n| {
            assert!(runspace::attempt() > 1 || n % 3 > 0, "once more");
            nap(n)
        });
        call(outcomes.outcomes())
    }),
    ("throttle_goes_down", || {
        let results = foreach_parallel!(0..COUNT, throttle = 4, |n| nap(n));
        let throttle = results.throttle();
        let mut outcomes = results.outcomes();
        let mut all: Vec<_> = outcomes.by_ref().take(2).collect();
        throttle.set(1);
        all.extend(outcomes);
        Ends::Call(all, COUNT)
    }),
    ("throttle_goes_down_lazy_timeout", || {
        let limit = Duration::from_secs(5);
        let results = foreach_parallel!(lazy(), throttle = 4, timeout = limit, |n| nap(n));
        let throttle = results.throttle();
        let mut outcomes = results.outcomes();
        let mut all: Vec<_> = outcomes.by_ref().take(2).collect();
        throttle.set(1);
        all.extend(outcomes);
        Ends::Call(all, COUNT)
    }),
    ("sequential", || {
        call(foreach_parallel!(lazy(), on = sequential, |n| n).outcomes())
    }),
    ("borrowed", || {
        let items: Vec<u64> = (0..COUNT).collect();
        call(foreach_parallel!(&items, throttle = 3, |n| nap(*n)).outcomes())
    }),
    ("scope", || {
        let items: Vec<u64> = (0..COUNT).collect();
        runspace::scope(|s| {
            call(foreach_parallel!(&items, within = s, throttle = 3, |n| nap(*n)).outcomes())
        })
    }),
    ("into_job", || {
        job(foreach_parallel!(lazy(), throttle = 3, |n| nap(n)).into_job())
    }),
    ("results_of_a_call", || {
        let inner = foreach_parallel!(lazy(), throttle = 2, |n| nap(n));
        call(foreach_parallel!(inner, throttle = 2, |n| n).outcomes())
    }),
    ("results_of_a_call_into_job", || {
        let inner = foreach_parallel!(0..COUNT, throttle = 2, |n| nap(n));
        job(foreach_parallel!(inner, throttle = 2, |n| n).into_job())
    }),
    ("pipeline", || {
        let outcomes = pipeline!(
            lazy()
                | foreach_parallel(throttle = 2, |n| nap(n))
                | foreach_parallel(throttle = 2, |n| n)
                | foreach_parallel(throttle = 2, |n| n)
        );
        call(outcomes.outcomes())
    }),
    ("thread_jobs", || {
        let jobs: Vec<Job<u64>> = (0..COUNT)
            .map(|n| start_thread_job!(using(n), { nap(n) }))
            .collect();
        Ends::Call(Vec::new(), 0).and(jobs.into_iter().map(Job::join))
    }),
    ("thread_job", || one(start_thread_job!({ 0 }).join())),
    ("runspace", || {
        let runspace = match Runspace::open() {
            Ok(it) => it,
            Err(error) => return one(Err(error)),
        };
        one(invoke!(&runspace, { 0 }).end())
    }),
    ("invoke_on_a_pool", || {
        let pool = RunspacePool::builder().max(3).open().unwrap();
        let all: Vec<_> = (0..COUNT)
            .map(|n| invoke!(&pool, using(n), { nap(n) }))
            .collect();
        Ends::Call(Vec::new(), 0).and(all.into_iter().map(runspace::Invocation::end))
    }),
    ("pool", || {
        let pool = RunspacePool::builder().max(3).open().unwrap();
        call(foreach_parallel!(lazy(), on = pool(&pool), |n| nap(n)).outcomes())
    }),
    ("pool_stopped", || {
        let pool = RunspacePool::builder().max(3).open().unwrap();
        let mut outcomes = foreach_parallel!(0.., on = pool(&pool), |n: u64| nap(n)).outcomes();
        match outcomes.next().expect("an outcome") {
            // Dropped part-way.
            Ok(_) => Ends::Values(vec![0], 1, None),
            failed => Ends::Call(std::iter::once(failed).chain(outcomes).collect(), COUNT),
        }
    }),
    ("threads_plan", || {
        runspace::plan(Plan::Threads(Some(3)));
        call(foreach_parallel!(lazy(), on = plan, |n| nap(n)).outcomes())
    }),
];

const RAYON: &[Scenario] = &[
    ("rayon", || {
        call(foreach_parallel!(lazy(), on = rayon, |n| nap(n)).outcomes())
    }),
    ("rayon_throttle", || {
        call(foreach_parallel!(0..COUNT, on = rayon, throttle = 2, |n| nap(n)).outcomes())
    }),
];

const PROCESSES: &[Scenario] = &[
    ("process", || {
        call(foreach_parallel!(0..COUNT, on = process, throttle = 2, |n| nap(n)).outcomes())
    }),
    ("process_lazy_timeout", || {
        let limit = Duration::from_secs(5);
        let outcomes = foreach_parallel!(
            lazy(),
            on = process,
            throttle = 2,
            timeout = limit,
            retry = 1,
            |n| nap(n)
        );
        call(outcomes.outcomes())
    }),
    ("process_one_item", || {
        let outcomes = foreach_parallel!([0_u64], on = process, |n| nap(n)).outcomes();
        Ends::Call(outcomes.collect(), 1)
    }),
    ("process_fresh", || {
        let pool = ProcessPool::builder().workers(2).max_items(4).build();
        call(foreach_parallel!(0..COUNT, on = process(&pool), |n| nap(n)).outcomes())
    }),
    ("process_into_job", || {
        job(foreach_parallel!(lazy(), on = process, throttle = 2, |n| nap(n)).into_job())
    }),
    ("process_jobs", || {
        let jobs: Vec<Job<u64>> = (0..3_u64)
            .map(|n| start_job!(using(n), { nap(n) }))
            .collect();
        Ends::Call(Vec::new(), 0).and(jobs.into_iter().map(Job::join))
    }),
    ("program", || {
        one(start_job!(file = "echo", args = ["0"])
            .join()
            .map(|it: String| it.trim().parse().unwrap()))
    }),
    ("process_plan", || {
        runspace::plan(Plan::Process(Some(2)));
        call(foreach_parallel!(lazy(), on = plan, |n| nap(n)).outcomes())
    }),
];

impl Ends {
    /// Ends that are each by itself: a value, or an error in words.
    fn and<E: Display>(self, ends: impl Iterator<Item = Result<u64, E>>) -> Self {
        for (index, end) in ends.enumerate() {
            match end {
                Ok(value) => assert_eq!(value, index as u64),
                Err(error) => assert_in_words(&error.to_string()),
            }
        }
        self
    }
}

const SCENARIO: &str = "TEST_SCENARIO";
const CALLS: &str = "TEST_CALLS";
const FAILS: &str = "TEST_FAILS";

#[test]
#[ignore = "a part of the other tests, which run it in processes of their own"]
fn a_try() {
    let Ok(name) = std::env::var(SCENARIO) else {
        return;
    };
    let (calls, fails) = (var(CALLS), var(FAILS));
    let number = |text: &str| text.parse().unwrap();
    let fails = match fails.split_once(':') {
        Some(("once", n)) => Fails::Once(number(n)),
        Some(("from", n)) => Fails::From(number(n)),
        _ => Fails::Nothing,
    };
    let calls = if calls == "starts" {
        Calls::Starts
    } else {
        Calls::All
    };
    let all = [THREADS, RAYON, PROCESSES];
    let scenario = all.into_iter().flatten().find(|it| it.0 == name).unwrap().1;
    support::within(15, move || {
        let count = inject(calls, fails).expect("the system has filters on system calls");
        scenario().judge();
        println!("\nmade: {}", count.get());
    });
    std::process::exit(0);
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// One try in a process of its own. Answers how many calls there were.
fn attempt(name: &str, calls: &str, fails: &str) -> Result<u64, String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "a_try", "--ignored", "--nocapture", "--quiet"])
        .envs([(SCENARIO, name), (CALLS, calls), (FAILS, fails)])
        .env_remove("RUNSPACE_PLAN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: between the copy and the program the child makes one system call.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?));
    }
    let child = command.spawn().unwrap();
    let session = child.id();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = || format!("{name}, {calls}, {fails}: {}\n{out}{err}", output.status);
    let end = Instant::now() + Duration::from_secs(10);
    while !of_session(session).is_empty() {
        if Instant::now() > end {
            return Err(format!("{}left: {:?}", said(), of_session(session)));
        }
        sleep(5 * MS);
    }
    let made = out.lines().find_map(|it| it.strip_prefix("made: "));
    match (output.status.success(), made) {
        (true, Some(made)) => Ok(made.parse().unwrap()),
        _ => Err(said()),
    }
}

/// The processes of a session.
fn of_session(session: u32) -> Vec<String> {
    let own = session.to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let stat = |path: &Path| std::fs::read_to_string(path.join("stat")).ok();
    all.filter_map(|it| stat(&it.path()))
        .filter(|it| {
            let words = it.rsplit_once(')').map_or("", |it| it.1);
            let mut words = words.split_whitespace();
            // A zombie is no affair of this process: its parent has gone, and it waits for init.
            words.next() != Some("Z") && words.nth(2) == Some(&own)
        })
        .collect()
}

/// Tries each scenario with each of its calls failing, until there is none that fails.
fn all_of(scenarios: &[Scenario]) {
    let only = std::env::var("TEST_ONLY").ok();
    let mut failed = Vec::new();
    let mut tries = 0;
    for (name, _) in scenarios {
        if only.as_ref().is_some_and(|it| it != name) {
            continue;
        }
        for (calls, mode) in [("all", "once"), ("all", "from"), ("starts", "from")] {
            for n in 1.. {
                tries += 1;
                match attempt(name, calls, &format!("{mode}:{n}")) {
                    Ok(made) if made < n => break,
                    Ok(_) => {}
                    Err(said) => failed.push(said),
                }
                assert!(n < 200, "{name}: no end of calls");
            }
        }
    }
    println!("{tries} tries");
    assert!(
        failed.is_empty(),
        "{} of {tries} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn threads() {
    all_of(THREADS);
}

#[test]
fn rayon() {
    all_of(RAYON);
}

#[test]
fn processes() {
    all_of(PROCESSES);
}
