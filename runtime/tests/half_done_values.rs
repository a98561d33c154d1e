//! A body that leaves early because it was told to stop answers half a value. That is no result: not of the call, and
//! not in its journal, which has the item run again. So on every back end, and however the item was told.

#![cfg(feature = "journal")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

use runspace::{Cause, ItemError, JobState, StopToken, start_thread_job};
use support::{until, within};

const HALF: u64 = 98;
const WHOLE: u64 = 2_000;

/// What an item does.
#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
enum Way {
    /// It comes to its end.
    Whole,
    /// It works until it is told to stop, and answers what it has by then.
    UntilTold,
    /// The same, and says that this is all.
    UntilToldAndFinished,
    /// It tells its own call to stop, and answers what it has.
    TellsItself,
}

/// The body of each item here, wherever it runs. The first item comes to its end when the second has begun, if they run
/// at the same time.
fn work(n: u64, way: Way, together: bool, folder: &Path) -> u64 {
    fs::write(folder.join(n.to_string()), "").unwrap();
    if n == 0 && together {
        until(|| folder.join("1").exists());
    }
    if n == 0 || way == Way::Whole {
        return WHOLE + n;
    }
    if way == Way::TellsItself {
        runspace::stop_token().stop();
        return HALF;
    }
    while !runspace::stopping() {
        sleep(Duration::from_millis(1));
    }
    match way {
        Way::UntilToldAndFinished => runspace::finished(WHOLE + n),
        _ => HALF,
    }
}

/// Stops `token` when the second item has begun.
fn stop_when_it_runs(token: StopToken, folder: &Path) -> std::thread::JoinHandle<()> {
    let second = folder.join("1");
    spawn(move || {
        until(|| second.exists());
        token.stop();
    })
}

/// What of a first run was a result: no half values, and at least `least` whole ones. `told` knows why the others were not.
#[track_caller]
fn assert_told_apart(outcomes: &[Result<u64, ItemError>], told: impl Fn(&Cause) -> bool) {
    let mut cut_off = 0;
    for outcome in outcomes {
        match outcome {
            Ok(value) => assert!((WHOLE..WHOLE + 4).contains(value), "{outcomes:?}"),
            Err(error) => {
                assert!(told(error.cause()), "{error}");
                cut_off += 1;
            }
        }
    }
    assert!(cut_off > 0, "{outcomes:?}");
}

/// The journal agrees: what is done is whole, and of what is not it has no value.
#[track_caller]
fn assert_no_half_value(journal: &Path) {
    let text = fs::read_to_string(journal).unwrap();
    let lines = text
        .lines()
        .map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
    for line in lines.filter(|it| it["event"] == "item") {
        let value = line["value"].as_u64();
        match line["outcome"].as_str().unwrap() {
            "done" => assert!(value >= Some(WHOLE), "{line}"),
            "stopped" | "timed out" | "deadline passed" => assert_eq!(value, None, "{line}"),
            outcome => panic!("{outcome}: {line}"),
        }
    }
}

macro_rules! call {
    ([$($on:tt)*], $folder:expr, $way:expr, $together:expr, [$($option:tt)*]) => {{
        let folder: PathBuf = $folder.to_owned();
        let journal = folder.join("run.jsonl");
        let (way, together): (Way, bool) = ($way, $together);
        runspace::foreach_parallel!(
            0..4_u64,
            on = $($on)*,
            throttle = 2,
            name = "sums",
            journal = &journal,
            resume = true,
            $($option)*
            using(folder, way, together),
            |n| work(n, way, together, &folder)
        )
    }};
}

macro_rules! half_done {
    ($name:ident, when = $when:expr, together = $together:expr, on = $($on:tt)*) => {
        mod $name {
            use super::*;

            /// Two items of a test run at the same time, so another test must not hold the workers that both share.
            static TURN: Mutex<()> = Mutex::new(());

            /// Has `first` run the call in a folder, and then the call to its end.
            fn interrupted(first: impl FnOnce(&Path) + Send + 'static) {
                if !$when {
                    return;
                }
                let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    first(folder.path());
                    assert_no_half_value(&folder.path().join("run.jsonl"));
                    let results = call!([$($on)*], folder.path(), Way::Whole, false, []);
                    let mut values: Vec<u64> = results.collect();
                    values.sort_unstable();
                    assert!(values.into_iter().eq(WHOLE..WHOLE + 4), "half a value came from the journal");
                });
            }

            #[test]
            fn a_token() {
                interrupted(|folder| {
                    let results = call!([$($on)*], folder, Way::UntilTold, $together, []);
                    let stopper = stop_when_it_runs(results.stop_token(), folder);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    stopper.join().unwrap();
                    assert_told_apart(&outcomes, |it| matches!(it, Cause::Stopped));
                });
            }

            #[test]
            fn a_deadline() {
                interrupted(|folder| {
                    let results =
                        call!([$($on)*], folder, Way::UntilTold, $together, [deadline = Duration::from_secs(1),]);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert_told_apart(&outcomes, |it| matches!(it, Cause::DeadlinePassed { .. }));
                });
            }

            #[test]
            fn a_timeout() {
                interrupted(|folder| {
                    let results =
                        call!([$($on)*], folder, Way::UntilTold, $together, [timeout = Duration::from_secs(1),]);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert_told_apart(&outcomes, |it| matches!(it, Cause::TimedOut(_)));
                });
            }

            #[test]
            fn the_first_success_of_another() {
                interrupted(|folder| {
                    let halt = runspace::Halt::now().success(1);
                    let results = call!([$($on)*], folder, Way::UntilTold, $together, [halt = halt,]);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    let values: Vec<u64> = outcomes.iter().flatten().copied().collect();
                    assert_eq!(values, [WHOLE], "{outcomes:?}");
                    // One at a time, the others have not begun.
                    if $together {
                        assert_told_apart(&outcomes, |it| matches!(it, Cause::Stopped));
                    }
                });
            }

            #[test]
            fn a_drop_part_way() {
                interrupted(|folder| {
                    let mut results = call!([$($on)*], folder, Way::UntilTold, $together, []);
                    assert_eq!(results.next(), Some(WHOLE));
                    drop(results);
                });
            }

            #[test]
            fn the_body_itself() {
                interrupted(|folder| {
                    let results = call!([$($on)*], folder, Way::TellsItself, $together, []);
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert_told_apart(&outcomes, |it| matches!(it, Cause::Stopped));
                });
            }

            #[test]
            fn a_body_that_stops_its_token_stops_its_call_under_a_timeout_too() {
                interrupted(|folder| {
                    let results =
                        call!([$($on)*], folder, Way::TellsItself, $together, [timeout = Duration::from_secs(40),]);
                    let token = results.stop_token();
                    let outcomes: Vec<_> = results.outcomes().collect();
                    assert_told_apart(&outcomes, |it| matches!(it, Cause::Stopped));
                    assert!(token.is_stopping());
                });
            }

            #[test]
            fn the_job_around_the_call() {
                interrupted(|folder| {
                    let (tell, told) = channel();
                    let own = folder.to_owned();
                    let queue = runspace::JobQueue::new(1);
                    let job = start_thread_job!(queue = &queue, using(own, tell), {
                        let results = call!([$($on)*], &own, Way::UntilTold, $together, []);
                        tell.send(results.outcomes().collect::<Vec<_>>()).unwrap();
                    });
                    until(|| folder.join("1").exists());
                    job.stop();
                    assert_eq!(job.wait(), JobState::Stopped);
                    assert_told_apart(&told.recv().unwrap(), |it| matches!(it, Cause::Stopped));
                });
            }

            #[test]
            fn a_value_that_the_body_says_is_whole_counts() {
                interrupted(|folder| {
                    let results = call!([$($on)*], folder, Way::UntilToldAndFinished, $together, []);
                    let journal = results.journal();
                    let stopper = stop_when_it_runs(results.stop_token(), folder);
                    let values: Vec<u64> = results.outcomes().flatten().collect();
                    stopper.join().unwrap();
                    assert!(values.contains(&(WHOLE + 1)), "{values:?}");
                    assert_eq!(journal.resumed(), 0);
                    let again = call!([$($on)*], folder, Way::Whole, false, []);
                    let journal = again.journal();
                    again.wait();
                    assert_eq!(journal.resumed(), values.len() as u64);
                });
            }
        }
    };
}

half_done!(threads, when = true, together = true, on = thread);
half_done!(sequential, when = true, together = false, on = sequential);
#[cfg(feature = "rayon")]
half_done!(rayon, when = true, together = true, on = rayon);

/// A pool that outlives every call on it.
fn pool() -> &'static runspace::RunspacePool {
    Box::leak(Box::new(
        runspace::RunspacePool::builder().max(2).open().unwrap(),
    ))
}

half_done!(pool_of_two, when = true, together = true, on = pool(pool()));
#[cfg(all(target_os = "linux", feature = "process"))]
half_done!(process, when = true, together = true, on = process);

/// Whether two items run at once under the plan of this process.
fn plan_is_parallel() -> bool {
    std::env::var("RUNSPACE_PLAN").as_deref() != Ok("sequential")
}

half_done!(plan, when = true, together = plan_is_parallel(), on = plan);

/// Runs what is asked of `on = plan` once more, in a process that has this plan.
fn with_plan(text: &'static str) {
    within(200, move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["plan::", "--test-threads=4"])
            .env("RUNSPACE_PLAN", text);
        support::run(command);
    });
}

#[test]
fn a_plan_of_one_thread() {
    with_plan("sequential");
}

#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn a_plan_of_processes() {
    with_plan("process:2");
}

/// A server, and two workers of this program, for all tests here. They end with this process.
#[cfg(all(target_os = "linux", feature = "cluster"))]
fn cluster() -> Option<&'static runspace::Cluster> {
    use support::nats::{Server, Worker};
    struct All {
        cluster: runspace::Cluster,
        _server: Server,
        _workers: [Worker; 2],
    }
    static ALL: std::sync::OnceLock<Option<All>> = std::sync::OnceLock::new();
    let all = ALL.get_or_init(|| {
        let server = Server::start()?;
        Some(All {
            cluster: server.cluster(),
            _workers: [server.worker(2), server.worker(2)],
            _server: server,
        })
    });
    Some(&all.as_ref()?.cluster)
}

#[cfg(all(target_os = "linux", feature = "cluster"))]
half_done!(
    cluster,
    when = cluster().is_some(),
    together = true,
    on = cluster(cluster().unwrap())
);
