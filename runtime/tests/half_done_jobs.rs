//! The value of a job or an invocation whose body was told to stop before it returned: the state tells it from a whole one,
//! on threads and in processes alike, unless the body says that it had finished.

mod support;

use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::sleep;
use std::time::Duration;

use runspace::{
    InvocationErrorKind, InvocationState, Job, JobErrorKind, JobQueue, JobState, Runspace,
    RunspacePool, foreach_parallel, invoke, start_thread_job,
};
use support::{until, within};

const HALF: u64 = 98;
const WHOLE: u64 = 2_000;

/// Tells that it runs, and works until it is told to stop.
fn until_told(running: &Path) {
    std::fs::write(running, "").unwrap();
    while !runspace::stopping() {
        sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn assert_stopped<T: std::fmt::Debug + PartialEq + Send>(job: Job<T>, outputs: &[T]) {
    assert_eq!(job.wait(), JobState::Stopped);
    assert_eq!(job.receive(), outputs);
    let error = job.join().unwrap_err();
    assert!(matches!(error.kind(), JobErrorKind::Stopped), "{error}");
}

macro_rules! jobs {
    ($name:ident, $start:ident, $($on:tt)*) => {
        mod $name {
            use runspace::$start;

            use super::*;

            #[test]
            fn half_a_value_is_an_output_of_a_stopped_job() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let job = $start!($($on)* using(running.clone()), {
                        until_told(&running);
                        HALF
                    });
                    until(|| running.exists());
                    job.stop();
                    assert_stopped(job, &[HALF]);
                });
            }

            #[test]
            fn a_value_that_the_body_says_is_whole_completes_it() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let job = $start!($($on)* using(running.clone()), {
                        until_told(&running);
                        runspace::finished(WHOLE)
                    });
                    until(|| running.exists());
                    job.stop();
                    assert_eq!(job.wait(), JobState::Completed);
                    assert_eq!(job.join().unwrap(), WHOLE);
                });
            }

            #[test]
            fn what_was_said_of_an_inner_item_says_nothing_of_the_job() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let job = $start!($($on)* using(running.clone()), {
                        let inner = foreach_parallel!([1_u64], on = sequential, |n| runspace::finished(n));
                        let sum: u64 = inner.sum();
                        until_told(&running);
                        HALF + sum
                    });
                    until(|| running.exists());
                    job.stop();
                    assert_stopped(job, &[HALF + 1]);
                });
            }

            #[test]
            fn a_job_that_emits_is_stopped_unless_it_says_that_it_has_finished() {
                within(60, || {
                    for is_whole in [false, true] {
                        let folder = tempfile::tempdir().unwrap();
                        let running = folder.path().join("running");
                        let job: Job<u64> = $start!($($on)* using(running.clone(), is_whole), |job| {
                            job.emit(HALF);
                            until_told(&running);
                            if is_whole {
                                runspace::finished(());
                            }
                        });
                        until(|| running.exists());
                        job.stop();
                        if is_whole {
                            assert_eq!(job.wait(), JobState::Completed);
                            assert_eq!(job.receive(), [HALF]);
                        } else {
                            assert_stopped(job, &[HALF]);
                        }
                    }
                });
            }

            #[test]
            fn a_body_that_stops_itself_is_stopped() {
                within(60, || {
                    let job = $start!($($on)* {
                        runspace::stop_token().stop();
                        HALF
                    });
                    assert_stopped(job, &[HALF]);
                    let job = $start!($($on)* {
                        runspace::stop_token().stop();
                        runspace::finished(WHOLE)
                    });
                    assert_eq!(job.wait(), JobState::Completed);
                    assert_eq!(job.join().unwrap(), WHOLE);
                });
            }

            #[test]
            fn a_stop_of_the_job_around_it_is_a_stop() {
                within(60, || {
                    let folder = tempfile::tempdir().unwrap();
                    let running = folder.path().join("running");
                    let (tell, told) = channel();
                    let own = running.clone();
                    let queue = JobQueue::new(2);
                    let outer = start_thread_job!(queue = &queue, using(own, tell), {
                        let inner = $start!($($on)* using(own), {
                            until_told(&own);
                            HALF
                        });
                        inner.wait();
                        tell.send(inner).unwrap();
                    });
                    until(|| running.exists());
                    outer.stop();
                    assert_eq!(outer.wait(), JobState::Stopped);
                    assert_stopped(told.recv().unwrap(), &[HALF]);
                });
            }
        }
    };
}

jobs!(on_threads, start_thread_job,);
#[cfg(all(target_os = "linux", feature = "process"))]
jobs!(in_processes, start_job,);

#[test]
fn a_value_that_was_returned_before_the_stop_is_whole() {
    within(60, || {
        for _ in 0..200 {
            let job = start_thread_job!({ WHOLE });
            assert_eq!(job.iter().next(), Some(WHOLE));
            // Perhaps before the job is seen to have ended, and after the end of its body in any case.
            job.stop();
            assert_eq!(job.wait(), JobState::Completed);
        }
    });
}

#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn a_job_out_of_time_has_failed_whatever_its_body_says() {
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let running = folder.path().join("running");
        let limit = Duration::from_millis(500);
        let job = runspace::start_job!(timeout = limit, using(running), {
            until_told(&running);
            runspace::finished(WHOLE)
        });
        assert_eq!(job.wait(), JobState::Failed);
        let error = job.join().unwrap_err();
        assert!(matches!(error.kind(), JobErrorKind::Process(_)), "{error}");
    });
}

#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn a_program_that_answers_a_stop_with_code_0_is_stopped() {
    within(60, || {
        let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done";
        let job = runspace::start_job!(file = "sh", args = ["-c", script]);
        assert_eq!(job.iter().next().as_deref(), Some("ready"));
        job.stop();
        assert_stopped(job, &[]);
    });
}

#[test]
fn a_call_as_a_job_is_stopped_unless_all_of_its_items_have_finished() {
    within(60, || {
        for is_whole in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let running = folder.path().join("running");
            let own = running.clone();
            let job = foreach_parallel!([WHOLE], using(own, is_whole), |n| {
                until_told(&own);
                match is_whole {
                    true => runspace::finished(n),
                    false => HALF,
                }
            })
            .into_job();
            until(|| running.exists());
            job.stop();
            if is_whole {
                assert_eq!(job.wait(), JobState::Completed);
                assert_eq!(job.receive(), [WHOLE]);
            } else {
                assert_stopped(job, &[]);
            }
        }
    });
}

#[test]
fn an_invocation_has_no_half_value() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let pool = RunspacePool::builder().max(2).open().unwrap();
        for on_pool in [false, true] {
            for is_whole in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let running = folder.path().join("running");
                let own = running.clone();
                let body = move || {
                    until_told(&own);
                    match is_whole {
                        true => runspace::finished(WHOLE),
                        false => HALF,
                    }
                };
                let invocation = match on_pool {
                    true => invoke!(&pool, using(body), { body() }),
                    false => invoke!(&runspace, using(body), { body() }),
                };
                until(|| running.exists());
                invocation.stop();
                let state = invocation.wait();
                match is_whole {
                    true => {
                        assert_eq!(state, InvocationState::Completed);
                        assert_eq!(invocation.end().unwrap(), WHOLE);
                    }
                    false => {
                        assert_eq!(state, InvocationState::Stopped);
                        let error = invocation.end().unwrap_err();
                        assert!(
                            matches!(error.kind(), InvocationErrorKind::Stopped),
                            "{error}"
                        );
                    }
                }
            }
        }
    });
}

/// The token of a worker process is that of the run: one that a body has stopped must not serve another call.
#[test]
#[cfg(all(target_os = "linux", feature = "process"))]
fn a_worker_whose_token_was_stopped_from_inside_serves_no_other_call() {
    within(60, || {
        let pool = runspace::ProcessPool::builder().workers(1).build();
        for _ in 0..5 {
            let first = foreach_parallel!([1_u64], on = process(&pool), |n| {
                runspace::stop_token().stop();
                runspace::finished(n)
            });
            assert_eq!(first.outcomes().flatten().collect::<Vec<_>>(), [1]);
            let second = foreach_parallel!(0..20_u64, on = process(&pool), |n| {
                assert!(!runspace::stopping(), "nobody has stopped this call");
                n
            });
            let outcomes: Vec<_> = second.outcomes().collect();
            assert_eq!(outcomes.iter().flatten().count(), 20, "{outcomes:?}");
        }
    });
}

/// A job on a cluster is a call with one item, whose half value stays where it was made.
#[test]
#[cfg(all(target_os = "linux", feature = "cluster"))]
fn a_job_on_a_cluster_is_stopped_unless_its_body_says_that_it_has_finished() {
    use runspace::start_job;
    use support::nats::Server;
    within(60, || {
        let Some(server) = Server::start() else {
            return;
        };
        let cluster = server.cluster();
        let _worker = server.worker(2);
        for is_whole in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let running = folder.path().join("running");
            let own = running.clone();
            let job = start_job!(on = cluster(&cluster), using(own, is_whole), {
                until_told(&own);
                match is_whole {
                    true => runspace::finished(WHOLE),
                    false => HALF,
                }
            });
            let own = folder.path().join("emits");
            let emits = own.clone();
            let emitting: Job<u64> =
                start_job!(on = cluster(&cluster), using(own, is_whole), |job| {
                    job.emit(HALF);
                    until_told(&own);
                    if is_whole {
                        runspace::finished(());
                    }
                });
            until(|| running.exists() && emits.exists() && emitting.has_more_data());
            job.stop();
            emitting.stop();
            if is_whole {
                assert_eq!(job.wait(), JobState::Completed);
                assert_eq!(job.join().unwrap(), WHOLE);
                assert_eq!(emitting.wait(), JobState::Completed);
                assert_eq!(emitting.receive(), [HALF]);
            } else {
                assert_stopped(job, &[]);
                assert_stopped(emitting, &[HALF]);
            }
        }
    });
}
