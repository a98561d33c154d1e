//! Half a value of a body that was told to stop: no result, and nothing that a journal has finished.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{sleep, spawn};
use std::time::Duration;

use runspace::{
    Cause, Halt, ItemError, JobErrorKind, JobState, RunspacePool, foreach_parallel, start_job,
};

use crate::common::{MS, fresh, pair};
use crate::stage::{Row, pool, process, threads};
use crate::support::until;

pub const ROWS: &[Row] = &[Row {
    id: "C13",
    name: "value_after_the_stop",
    fault: "A body that is told to stop (by a token, a deadline, a timeout, `Halt::now`, a drop part-way) leaves early with half a value",
    outcome: "The value is no result: its item ends with the reason of the stop, its job is Stopped, its line in a journal has no value. `resume` runs the item again. A body that says `finished` is believed, but not past its time.",
    tests: &[
        threads(|| all(|call| call.on_threads())),
        threads(|| all(|call| call.on_runspaces())).named("threads_of_runspaces"),
        threads(|| all(|call| call.on_rayon())).named("threads_of_rayon"),
        process(c13_process),
        pool(|| all(|call| call.on_workers(false))),
        pool(|| all(|call| call.on_workers(true))).named("pool_fresh_processes"),
    ],
    elsewhere: "",
}];

const HALF: u64 = 98;
const WHOLE: u64 = 2_000;

type Outcomes = Vec<Result<u64, ItemError>>;

/// How the items are told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Nothing,
    Token,
    Deadline,
    Timeout,
    Halt,
    Drop,
}

/// A call of two items at a time: the first comes to its end once the second runs, which waits to be told.
struct Call {
    folder: PathBuf,
    by: By,
}

fn item(n: u64, waits: bool, folder: &Path) -> u64 {
    fs::write(folder.join(n.to_string()), "").unwrap();
    if n == 0 && waits {
        until(|| folder.join("1").exists());
    }
    if n > 0 && waits {
        until_told();
        return HALF;
    }
    WHOLE + n
}

fn until_told() {
    while !runspace::stopping() {
        sleep(MS);
    }
}

macro_rules! call {
    ($call:expr, $($on:tt)*) => {{
        let folder = $call.folder.clone();
        let journal = folder.join("run.jsonl");
        let by = $call.by;
        let waits = by != By::Nothing;
        let limit = |it: By, limit: Duration| if by == it { limit } else { 100 * Duration::from_secs(1) };
        let halt = if by == By::Halt { Halt::now().success(1) } else { Halt::soon().done(1_000) };
        let mut results = foreach_parallel!(
            0..6_u64,
            on = $($on)*,
            throttle = 2,
            name = "sums",
            journal = &journal,
            resume = true,
            timeout = limit(By::Timeout, 700 * MS),
            deadline = limit(By::Deadline, 700 * MS),
            halt = halt,
            using(folder, waits),
            |n| item(n, waits, &folder)
        );
        match by {
            By::Drop => vec![Ok(results.next().unwrap())],
            By::Token => {
                let (token, second) = (results.stop_token(), $call.folder.join("1"));
                let stopper = spawn(move || {
                    until(|| second.exists());
                    token.stop();
                });
                let outcomes = results.outcomes().collect();
                stopper.join().unwrap();
                outcomes
            }
            _ => results.outcomes().collect(),
        }
    }};
}

impl Call {
    fn on_threads(&self) -> Outcomes {
        call!(self, thread)
    }

    fn on_runspaces(&self) -> Outcomes {
        // A thread that a timeout has taken from the pool comes back when its body does.
        let pool = RunspacePool::builder().max(4).open().unwrap();
        call!(self, pool(&pool))
    }

    fn on_rayon(&self) -> Outcomes {
        call!(self, rayon)
    }

    fn on_workers(&self, is_fresh: bool) -> Outcomes {
        let pool = if is_fresh { fresh() } else { pair() };
        call!(self, process(&pool))
    }
}

/// Interrupts the call in each way, and then runs it to its end.
fn all(run: fn(&Call) -> Outcomes) {
    for by in [By::Token, By::Deadline, By::Timeout, By::Halt, By::Drop] {
        let folder = tempfile::tempdir().unwrap();
        let call = |by| Call {
            folder: folder.path().to_owned(),
            by,
        };
        for outcome in run(&call(by)) {
            let is_told = |cause: &Cause| match by {
                By::Deadline => matches!(cause, Cause::DeadlinePassed { .. }),
                By::Timeout => matches!(cause, Cause::TimedOut(_)),
                _ => matches!(cause, Cause::Stopped),
            };
            match outcome {
                Ok(value) => assert!(value >= WHOLE, "{by:?}: {value}"),
                Err(error) => assert!(is_told(error.cause()), "{by:?}: {error}"),
            }
        }
        let resumed = run(&call(By::Nothing));
        let mut values: Vec<u64> = resumed.into_iter().map(Result::unwrap).collect();
        values.sort_unstable();
        assert!(values.into_iter().eq(WHOLE..WHOLE + 6), "{by:?}");
    }
}

fn c13_process() {
    let folder = tempfile::tempdir().unwrap();
    for is_whole in [false, true] {
        let running = folder.path().join(is_whole.to_string());
        let own = running.clone();
        let job = start_job!(using(own, is_whole), {
            fs::write(&own, "").unwrap();
            until_told();
            match is_whole {
                true => runspace::finished(WHOLE),
                false => HALF,
            }
        });
        until(|| running.exists());
        job.stop();
        match is_whole {
            true => assert_eq!(job.join().unwrap(), WHOLE),
            false => {
                assert_eq!(job.wait(), JobState::Stopped);
                assert_eq!(job.receive(), [HALF], "what it has put out");
                let error = job.join().unwrap_err();
                assert!(matches!(error.kind(), JobErrorKind::Stopped), "{error}");
            }
        }
    }
}
