//! Parallel calls on a pool: each worker has a runspace while it works, calls take their turns, and
//! no nesting stands still.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use runspace::{Invocation, Results, RunspacePool, foreach_parallel, invoke};
use support::{until, within};

/// Starts `body` on the pool.
fn start<R: Send + 'static>(
    pool: &RunspacePool,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(pool, using(body), { body() })
}

/// `foreach_parallel!(items, on = pool(&pool), |x| body(x))`.
fn each<I, R>(
    pool: &RunspacePool,
    items: I,
    body: impl Fn(I::Item) -> R + Send + Sync + 'static,
) -> Results<R>
where
    I: IntoIterator<IntoIter: Send + 'static, Item: Send + 'static>,
    R: Send + 'static,
{
    foreach_parallel!(items, on = pool(pool), using(body), |x| body(x))
}

fn pool(max: usize) -> RunspacePool {
    RunspacePool::builder()
        .name("crew")
        .max(max)
        .open()
        .unwrap()
}

#[test]
fn items_run_on_the_runspaces_and_at_most_the_maximum_at_once() {
    within(60, || {
        let pool = pool(3);
        let running = Arc::new(AtomicUsize::new(0));
        let seen = each(&pool, 0..300, move |_| {
            assert!(running.fetch_add(1, Ordering::SeqCst) < 3);
            thread::sleep(Duration::from_micros(200));
            running.fetch_sub(1, Ordering::SeqCst);
            let thread = thread::current();
            assert!(thread.name().unwrap().starts_with("crew-"), "{thread:?}");
            thread.id()
        });
        let threads: Vec<_> = seen.collect();
        assert_eq!(threads.len(), 300);
        assert!(threads.into_iter().collect::<HashSet<_>>().len() <= 3);
        until(|| pool.running() == 0);
    });
}

#[test]
fn init_has_run_on_the_runspace_of_each_item() {
    thread_local! {
        static IS_READY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    within(60, || {
        let pool = RunspacePool::builder().max(3).init(|| IS_READY.set(true));
        let pool = pool.open().unwrap();
        assert!(each(&pool, 0..200, |_| IS_READY.get()).all(|it| it));
    });
}

#[test]
fn a_call_waits_its_turn_and_leaves_the_pool_to_others() {
    within(60, || {
        let pool = pool(1);
        let (go, wait) = channel::<()>();
        let first = start(&pool, move || wait.recv().is_ok());
        let mut results = each(&pool, 0..3, |n| n);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(pool.running(), 1);
        go.send(()).unwrap();
        assert!(first.end().unwrap());
        assert!(results.next().is_some());
        // The input is endless and slow: the call does not keep the runspace meanwhile.
        let (feed, input) = channel::<u32>();
        let slow = each(&pool, input, |n| n);
        feed.send(1).unwrap();
        assert_eq!(start(&pool, || 5).end().unwrap(), 5);
        drop(feed);
        assert_eq!(slow.count(), 1);
    });
}

#[test]
fn a_body_can_call_on_its_own_pool() {
    within(60, || {
        for max in 1..4 {
            let pool = pool(max);
            let all: Vec<_> = (0..8u32)
                .map(|_| {
                    let inside = pool.clone();
                    start(&pool, move || each(&inside, 1..=100u32, |n| n).sum::<u32>())
                })
                .collect();
            for invocation in all {
                assert_eq!(invocation.end().unwrap(), 5050);
            }
            until(|| pool.running() + pool.queued() == 0);
        }
    });
}

#[test]
fn calls_nest_on_one_pool_and_between_two() {
    fn deep(here: &RunspacePool, there: &RunspacePool, depth: u32) -> u32 {
        let (next, after) = (there.clone(), here.clone());
        let body = move |_: u32| match depth {
            0 => 1,
            _ => deep(&next, &after, depth - 1),
        };
        each(here, 0..3, body).sum()
    }
    within(120, || {
        for max in 1..4 {
            let one = pool(max);
            assert_eq!(deep(&one, &one, 4), 243);
            let (a, b) = (pool(max), pool(max));
            let (there, back) = (b.clone(), a.clone());
            let other = thread::spawn(move || deep(&there, &back, 4));
            assert_eq!(deep(&a, &b, 4), 243);
            assert_eq!(other.join().unwrap(), 243);
        }
    });
}

#[test]
fn items_can_wait_for_invocations_of_their_own_pool() {
    within(60, || {
        for max in 1..4 {
            let pool = pool(max);
            let inside = pool.clone();
            let sum = each(&pool, 1..=50u32, move |n| {
                start(&inside, move || n).end().unwrap()
            });
            assert_eq!(sum.sum::<u32>(), 1275);
        }
    });
}

#[test]
fn an_input_may_use_the_pool_of_its_call() {
    within(60, || {
        let pool = pool(1);
        let inside = pool.clone();
        let input = (1..=20u32).map(move |n| start(&inside, move || n).end().unwrap());
        assert_eq!(each(&pool, input, |n| n).sum::<u32>(), 210);
    });
}

#[test]
fn dropping_the_results_stops_the_call_and_leaves_the_pool_as_it_was() {
    within(60, || {
        let pool = pool(2);
        for _ in 0..50 {
            let mut results = each(&pool, 0.., |n: u64| n);
            assert!(results.next().is_some());
            drop(results);
        }
        until(|| pool.running() + pool.queued() == 0);
        assert_eq!(start(&pool, || 1).end().unwrap(), 1);
        // Stopped while its workers wait for their turn.
        let (go, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let held: Vec<_> = (0..2)
            .map(|_| {
                let wait = Arc::clone(&wait);
                start(&pool, move || wait.lock().unwrap().recv().is_ok())
            })
            .collect();
        each(&pool, 0.., |n: u64| n).stop();
        drop(go);
        held.into_iter().for_each(|it| assert!(!it.end().unwrap()));
    });
}

#[test]
fn an_item_that_panics_costs_itself() {
    within(60, || {
        let pool = pool(2);
        let outcomes = each(&pool, 0..20u32, |n| 10 / (n % 10)).outcomes();
        assert_eq!(outcomes.filter(Result::is_err).count(), 2);
        assert!(pool.runspaces() <= 2);
    });
}

#[test]
fn a_closed_pool_takes_no_call_and_lets_none_fall() {
    within(60, || {
        let closed = pool(2);
        closed.close();
        let outcomes: Vec<_> = each(&closed, 0..3, |n| n).outcomes().collect();
        let text = outcomes
            .iter()
            .filter_map(|it| it.as_ref().err())
            .find(|it| !it.is_stopped())
            .unwrap()
            .to_string();
        assert!(text.contains("pool `crew` is closed"), "{text}");

        let open = pool(2);
        let (feed, input) = channel::<u32>();
        let mut results = each(&open, input, |n| n);
        feed.send(1).unwrap();
        assert_eq!(results.next(), Some(1));
        open.close();
        for n in 2..10 {
            feed.send(n).unwrap();
            assert_eq!(results.next(), Some(n));
        }
        drop(feed);
        assert_eq!(results.next(), None);
    });
}

#[test]
fn a_pool_can_close_while_results_are_not_read() {
    within(60, || {
        let pool = pool(2);
        let results = each(&pool, 0..10_000u32, |n| n);
        pool.close();
        assert_eq!(results.count(), 10_000);
    });
}

#[test]
fn an_init_of_the_pool_that_panics_fails_the_call_and_runs_no_item_there() {
    within(60, || {
        let pool = RunspacePool::builder()
            .max(2)
            .init(|| panic!("no licence"))
            .open()
            .unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let outcomes: Vec<_> =
            runspace::foreach_parallel!(0..50, on = pool(&pool), using(ran.clone()), |_n| {
                ran.fetch_add(1, Ordering::SeqCst);
            })
            .outcomes()
            .collect();
        let failed: Vec<_> = outcomes
            .iter()
            .filter_map(|it| it.as_ref().err())
            .filter(|it| !it.is_stopped())
            .collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(
            failed[0].to_string().contains("no licence"),
            "{}",
            failed[0]
        );
        assert_eq!(ran.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_pool_that_goes_does_not_wait_for_a_reader_who_comes_later() {
    within(60, || {
        let pool = pool(2);
        let results = foreach_parallel!(0..4_u32, on = pool(&pool), buffer = 4, |n, job| {
            for m in 0..100 {
                job.emit((n, m));
            }
        });
        until(|| pool.running() == 2);
        // The only ones that could read are behind this line.
        drop(pool);
        let all: HashSet<_> = results.collect();
        assert_eq!(all.len(), 400);
    });
}
