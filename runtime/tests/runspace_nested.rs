//! Bodies that wait for bodies: what can end does, and what cannot is refused in words.

mod support;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runspace::__private::Invoke;
use runspace::{
    Invocation, InvocationErrorKind, JobQueue, Runspace, RunspacePool, foreach_parallel, invoke,
    start_thread_job,
};
use support::within;

/// Starts `body` on a runspace or a pool.
fn start<X: Invoke, R: Send + 'static>(
    target: X,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(target, using(body), { body() })
}

fn named<R: Send + 'static>(
    runspace: &Runspace,
    name: &str,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(runspace, name = name, using(body), { body() })
}

#[test]
fn waiting_for_the_runspace_one_runs_in_is_an_error() {
    within(60, || {
        let runspace = Runspace::builder().name("only").open().unwrap();
        let inside = runspace.clone();
        let outer = named(&runspace, "outer", move || {
            let error = named(&inside, "inner", || 1).end().unwrap_err();
            assert!(matches!(error.kind(), InvocationErrorKind::Deadlock(_)));
            error.to_string()
        });
        let text = outer.end().unwrap();
        let told =
            "`outer` would wait for `inner`, which is queued behind `outer` on runspace `only`";
        assert!(text.contains(told), "{text}");
        let inside = runspace.clone();
        let outer = start(&runspace, move || start(&inside, || 1).wait());
        assert!(outer.end().unwrap_err().to_string().contains("never end"));
    });
}

#[test]
fn the_items_of_a_call_in_a_body_are_told_too() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        let outer = start(&runspace, move || {
            let refused = foreach_parallel!(0..8, throttle = 4, using(inside), |n: u32| {
                start(&inside, move || n).end().is_err()
            });
            refused.filter(|it| *it).count()
        });
        assert_eq!(outer.end().unwrap(), 8);
    });
}

#[test]
fn a_ring_of_runspaces_is_refused_once_and_the_rest_goes_on() {
    within(60, || {
        for _ in 0..50 {
            let (a, b) = (Runspace::open().unwrap(), Runspace::open().unwrap());
            let (to_a, to_b) = (a.clone(), b.clone());
            let barrier = Arc::new(std::sync::Barrier::new(2));
            let other = Arc::clone(&barrier);
            let one = start(&a, move || {
                barrier.wait();
                start(&to_b, || 1).end().map_err(|it| it.to_string())
            });
            let two = start(&b, move || {
                other.wait();
                start(&to_a, || 2).end().map_err(|it| it.to_string())
            });
            let ends = (one.end().unwrap(), two.end().unwrap());
            let refused = [ends.0.clone().err(), ends.1.clone().err()];
            let refused: Vec<_> = refused.into_iter().flatten().collect();
            assert!(refused.len() <= 1, "{refused:?}");
            assert!(
                refused.iter().all(|it| it.contains("never end")),
                "{refused:?}"
            );
        }
    });
}

#[test]
fn a_wait_with_a_limit_on_ones_own_runspace_just_runs_out() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let inside = runspace.clone();
        let outer = start(&runspace, move || {
            let inner = start(&inside, || 1);
            (inner.wait_timeout(Duration::from_millis(5)), inner)
        });
        let (waited, inner) = outer.end().unwrap();
        assert_eq!(waited, None);
        assert_eq!(inner.end().unwrap(), 1);
    });
}

#[test]
fn two_that_hold_each_other_are_told() {
    within(60, || {
        let (a, b) = (Runspace::open().unwrap(), Runspace::open().unwrap());
        let (to_one, for_one) = channel::<Invocation<()>>();
        let (to_two, for_two) = channel::<Invocation<()>>();
        let (told, hear) = channel();
        let other = told.clone();
        let one = start(&a, move || {
            let end = for_one.recv().unwrap().end();
            told.send(end.map_err(|it| it.to_string())).unwrap();
        });
        let two = start(&b, move || {
            let end = for_two.recv().unwrap().end();
            other.send(end.map_err(|it| it.to_string())).unwrap();
        });
        to_one.send(two).unwrap();
        to_two.send(one).unwrap();
        let ends: Vec<_> = hear.iter().collect();
        let refused: Vec<_> = ends.iter().filter_map(|it| it.as_ref().err()).collect();
        assert_eq!((ends.len(), refused.len()), (2, 1), "{ends:?}");
        assert!(refused[0].contains("which waits for"), "{refused:?}");
    });
}

fn nest(pool: &RunspacePool, depth: u32) -> Invocation<u32> {
    let inside = pool.clone();
    start(pool, move || match depth {
        0 => 0,
        _ => nest(&inside, depth - 1).end().unwrap() + 1,
    })
}

#[test]
fn fifty_deep_on_a_pool_of_one() {
    within(60, || {
        let pool = RunspacePool::builder().max(1).open().unwrap();
        assert_eq!(nest(&pool, 50).end().unwrap(), 50);
        assert_eq!((pool.running(), pool.queued(), pool.available()), (0, 0, 1));
        assert_eq!(pool.runspaces(), 1, "the others are gone");
    });
}

#[test]
fn every_kind_of_wait_lends() {
    type Wait = fn(Invocation<u32>) -> u32;
    let ways: [(&str, Wait); 3] = [
        ("end", |it| it.end().unwrap()),
        ("wait", |it| {
            it.wait();
            it.end().unwrap()
        }),
        ("wait_timeout", |it| {
            while it.wait_timeout(Duration::from_millis(5)).is_none() {}
            it.end().unwrap()
        }),
    ];
    for (name, way) in ways {
        within(60, move || {
            let pool = RunspacePool::builder().max(1).open().unwrap();
            let inside = pool.clone();
            let outer = start(&pool, move || way(start(&inside, || 41)) + 1);
            assert_eq!(outer.end().unwrap(), 42, "{name}");
        });
    }
}

#[test]
fn many_nests_between_two_pools() {
    fn zigzag(here: &RunspacePool, there: &RunspacePool, depth: u32) -> Invocation<u32> {
        let (next, after) = (there.clone(), here.clone());
        start(here, move || match depth {
            0 => 0,
            _ => zigzag(&next, &after, depth - 1).end().unwrap() + 1,
        })
    }
    within(120, || {
        for max in 1..4 {
            let pool = || RunspacePool::builder().max(max).open().unwrap();
            let (a, b) = (pool(), pool());
            let all: Vec<_> = (0..40)
                .map(|n| match n % 2 {
                    0 => zigzag(&a, &b, n % 7),
                    _ => zigzag(&b, &a, n % 7),
                })
                .collect();
            for (n, invocation) in (0..).zip(all) {
                assert_eq!(invocation.end().unwrap(), n % 7);
            }
            assert_eq!(
                (a.running(), b.running(), a.queued(), b.queued()),
                (0, 0, 0, 0)
            );
        }
    });
}

#[test]
fn items_of_a_call_in_a_body_can_wait_for_the_pool_of_the_body() {
    within(60, || {
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let inside = pool.clone();
        let outer = start(&pool, move || {
            foreach_parallel!(1..=20u32, throttle = 4, using(inside), |n| {
                start(&inside, move || n).end().unwrap()
            })
            .sum::<u32>()
        });
        assert_eq!(outer.end().unwrap(), 210);
    });
}

#[test]
fn a_lock_held_over_a_wait_does_no_harm() {
    within(60, || {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        let lock = Arc::new(Mutex::new(0));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let (lock, inside) = (Arc::clone(&lock), pool.clone());
                start(&pool, move || {
                    let mut sum = lock.lock().unwrap();
                    *sum += start(&inside, || 1).end().unwrap();
                })
            })
            .collect();
        for invocation in all {
            invocation.end().unwrap();
        }
        assert_eq!(*lock.lock().unwrap(), 50);
    });
}

#[test]
fn a_job_that_waits_for_a_body_lends_its_place_to_the_jobs_of_that_body() {
    within(60, || {
        let queue = JobQueue::new(1);
        let runspace = Runspace::open().unwrap();
        let (inner, inside) = (queue.clone(), runspace.clone());
        let job = start_thread_job!(queue = &queue, using(inner, inside), {
            let body = start(&inside, move || {
                start_thread_job!(queue = &inner, { 20 }).join().unwrap() + 1
            });
            body.end().unwrap() * 2
        });
        assert_eq!(job.join().unwrap(), 42);
        assert_eq!((queue.running(), queue.queued()), (0, 0));
    });
}

#[test]
fn records_of_a_body_are_those_of_the_job_that_invoked_it() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let job = start_thread_job!(using(runspace), {
            let body = start(&runspace, || {
                runspace::record(runspace::Level::Warning, "from the body")
            });
            body.end().unwrap();
        });
        job.wait();
        assert_eq!(job.records()[0].text, "from the body");
    });
}
