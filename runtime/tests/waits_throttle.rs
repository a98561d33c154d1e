//! A shared throttle is lent along the chain: what works for an item that has a place needs none of its own, whether
//! a job, an invocation or a call stands between, and never more at once than places are lent.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runspace::{Job, Runspace, RunspacePool, Throttle, foreach_parallel, invoke, start_thread_job};
use support::within;

fn inner(throttle: &Throttle) -> u32 {
    foreach_parallel!(0..4u32, throttle = throttle, |n| n).sum()
}

#[test]
fn an_item_invokes_what_needs_the_throttle_of_the_item() {
    within(60, || {
        let throttle = Throttle::shared(1);
        let runspace = Runspace::open().unwrap();
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let captures = (throttle.clone(), runspace, pool);
        let sum: u32 = foreach_parallel!(0..3, throttle = &throttle, using(captures), |_| {
            let (throttle, runspace, pool) = captures.clone();
            let again = throttle.clone();
            let one = invoke!(&runspace, using(again), { inner(&again) });
            let other = invoke!(&pool, using(throttle), { inner(&throttle) });
            one.end().unwrap() + other.end().unwrap()
        })
        .sum();
        assert_eq!(sum, 36);
    });
}

#[test]
fn an_item_joins_a_job_that_needs_the_throttle_of_the_item() {
    within(60, || {
        let throttle = Throttle::named("waits_throttle_job", 1);
        let inside = throttle.clone();
        let sum: u32 = foreach_parallel!(0..3, throttle = &throttle, using(inside), |_| {
            start_thread_job!(using(inside.clone()), {
                // Once more, and a call between.
                let deeper = foreach_parallel!([()], using(inside.clone()), |()| {
                    start_thread_job!(using(inside.clone()), { inner(&inside) })
                        .join()
                        .unwrap()
                })
                .sum::<u32>();
                deeper + inner(&inside)
            })
            .join()
            .unwrap()
        })
        .sum();
        assert_eq!(sum, 36);
    });
}

#[test]
fn items_of_the_jobs_of_an_item_run_one_at_a_time_on_its_place() {
    within(60, || {
        let throttle = Throttle::shared(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let captures = (throttle.clone(), now, Arc::clone(&most));
        foreach_parallel!(0..4, throttle = &throttle, using(captures), |_| {
            let jobs: Vec<Job<()>> = (0..4)
                .map(|_| {
                    let (throttle, now, most) = captures.clone();
                    start_thread_job!(using(throttle, now, most), {
                        foreach_parallel!(0..5, throttle = &throttle, using(now, most), |_| {
                            let running = now.fetch_add(1, Ordering::SeqCst) + 1;
                            most.fetch_max(running, Ordering::SeqCst);
                            std::thread::sleep(Duration::from_millis(1));
                            now.fetch_sub(1, Ordering::SeqCst);
                        })
                        .wait();
                    })
                })
                .collect();
            jobs.into_iter().for_each(|it| it.join().unwrap());
        })
        .wait();
        // Two items have places, and lend each to one.
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    });
}

#[test]
fn a_job_that_outlives_its_item_has_a_place_of_its_own() {
    within(60, || {
        let throttle = Throttle::shared(1);
        let inside = throttle.clone();
        let jobs: Vec<Job<u32>> =
            foreach_parallel!(0..3, throttle = &throttle, using(inside), |_| {
                start_thread_job!(using(inside.clone()), {
                    std::thread::sleep(Duration::from_millis(20));
                    inner(&inside)
                })
            })
            .collect();
        let sum: u32 = jobs.into_iter().map(|it| it.join().unwrap()).sum();
        assert_eq!(sum, 18);
        // All places are free again.
        assert_eq!(inner(&throttle), 6);
    });
}

#[test]
fn a_call_that_became_a_job_is_lent_a_place_too() {
    within(60, || {
        let throttle = Throttle::shared(1);
        let inside = throttle.clone();
        let sum: u32 = foreach_parallel!(0..3, throttle = &throttle, using(inside), |_| {
            let job = foreach_parallel!(0..4u32, throttle = &inside, |n| n).into_job();
            job.iter().sum::<u32>()
        })
        .sum();
        assert_eq!(sum, 18);
    });
}
