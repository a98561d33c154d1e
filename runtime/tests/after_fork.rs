//! After a `fork` of the program's own, the copy has the memory of its parent but not its threads. What
//! it starts runs all the same, or says in words why it cannot.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::sync::Arc;
use std::time::Duration;

use runspace::{
    InvocationErrorKind, JobQueue, Runspace, RunspacePool, foreach_parallel, invoke, jobs,
    start_job, start_thread_job,
};
use support::census::failure_of_call;
use support::fork::in_fork;
use support::{in_own_process, until, within};

/// Does one of everything that starts threads or processes of this process's own.
fn one_of_each() {
    let sum: u64 = foreach_parallel!(0..1000_u64, throttle = 4, |n| n).sum();
    assert_eq!(sum, 499_500);
    assert_eq!(start_thread_job!({ 5 }).join().unwrap(), 5);
    let sum: u64 = foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| n).sum();
    assert_eq!(sum, 4950);
    assert_eq!(start_job!({ 6 }).join().unwrap(), 6);
    assert_eq!(start_job!(file = "echo", args = ["7"]).join().unwrap(), "7");
    let pool = RunspacePool::builder().max(2).open().unwrap();
    assert_eq!(invoke!(&pool, { 8 }).end().unwrap(), 8);
}

#[test]
fn a_copy_starts_what_it_wants() {
    within(120, || {
        let ended = in_own_process("a_copy_starts_what_it_wants", || {
            // So that there are kept threads, idle workers, spares and a supervisor to mistake for one's own.
            one_of_each();
            for _ in 0..3 {
                in_fork("one of each", one_of_each);
            }
            in_fork("a copy of a copy", || {
                one_of_each();
                in_fork("one of each", one_of_each);
            });
            // As good as before, here.
            one_of_each();
        });
        ended.well();
    });
}

#[test]
fn jobs_that_run_in_the_parent_take_no_place_in_a_copy() {
    within(120, || {
        let test = "jobs_that_run_in_the_parent_take_no_place_in_a_copy";
        let ended = in_own_process(test, || {
            let held: Vec<_> = (0..JobQueue::global().throttle() + 2)
                .map(|_| {
                    start_thread_job!({
                        while !runspace::stopping() {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    })
                })
                .collect();
            until(|| JobQueue::global().running() == JobQueue::global().throttle());
            in_fork("a job", || {
                assert_eq!((jobs().len(), JobQueue::global().running()), (0, 0));
                let inner = start_thread_job!({ start_thread_job!({ 5 }).join().unwrap() });
                assert_eq!(inner.join().unwrap(), 5);
            });
            assert_eq!(jobs().len(), held.len());
            held.iter().for_each(|it| it.stop());
            for job in held {
                job.wait();
            }
        });
        ended.well();
    });
}

#[test]
fn a_copy_made_while_everything_is_busy() {
    within(120, || {
        let ended = in_own_process("a_copy_made_while_everything_is_busy", || {
            let busy = foreach_parallel!(0_u64.., throttle = 3, |n| {
                let job = start_thread_job!(using(n), { n });
                assert_eq!(job.join().unwrap(), n);
            });
            let processes = foreach_parallel!(0_u64.., on = process, throttle = 2, |n| n);
            for _ in 0..20 {
                in_fork("one of each", one_of_each);
            }
            busy.stop();
            processes.stop();
        });
        ended.well();
    });
}

#[test]
fn runspaces_of_the_parent_say_in_a_copy_that_they_are_its() {
    within(120, || {
        let test = "runspaces_of_the_parent_say_in_a_copy_that_they_are_its";
        let ended = in_own_process(test, || {
            let runspace = Runspace::open().unwrap();
            let pool = RunspacePool::builder().min(1).max(2).open().unwrap();
            assert_eq!(invoke!(&runspace, { 1 }).end().unwrap(), 1);
            assert_eq!(
                foreach_parallel!(0..9_u32, on = pool(&pool), |n| n).sum::<u32>(),
                36
            );
            in_fork("runspaces of the parent", || {
                for error in [
                    invoke!(&runspace, { 1 }).end().unwrap_err(),
                    invoke!(&pool, { 1 }).end().unwrap_err(),
                ] {
                    let text = error.to_string();
                    assert!(
                        matches!(error.kind(), InvocationErrorKind::NoThread(_)),
                        "{text}"
                    );
                    assert!(
                        text.contains("from which this process was forked"),
                        "{text}"
                    );
                }
                let call = foreach_parallel!(0..9_u32, on = pool(&pool), |n| n);
                let error = failure_of_call(call.outcomes());
                assert!(error.to_string().contains("forked"), "{error}");
                // Letting go of them waits for nobody.
                drop((runspace, pool));
            });
        });
        ended.well();
    });
}

#[cfg(feature = "rayon")]
#[test]
fn rayons_own_pool_is_not_counted_on_in_a_copy() {
    within(120, || {
        let ended = in_own_process("rayons_own_pool_is_not_counted_on_in_a_copy", || {
            let sum = || foreach_parallel!(0..100_u32, on = rayon, |n| n);
            assert_eq!(sum().sum::<u32>(), 4950);
            in_fork("rayon", || {
                let error = failure_of_call(sum().outcomes());
                assert!(error.to_string().contains("rayon's global pool"), "{error}");
                let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
                let pool = Arc::new(pool.unwrap());
                let call = foreach_parallel!(0..100_u32, on = rayon(&pool), |n| n);
                assert_eq!(call.sum::<u32>(), 4950);
            });
        });
        ended.well();
    });
}
