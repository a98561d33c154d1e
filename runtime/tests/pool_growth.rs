//! A pool grows to its maximum when there is work, shrinks to its minimum when there is none, and
//! follows its limits when they change.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use runspace::{Invocation, OpenErrorKind, RunspacePool, invoke};
use support::{throughout, until, within};

/// Starts `body` on the pool.
fn start<R: Send + 'static>(
    pool: &RunspacePool,
    body: impl FnOnce() -> R + Send + 'static,
) -> Invocation<R> {
    invoke!(pool, using(body), { body() })
}

/// Holds bodies until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
    }
}

fn held(pool: &RunspacePool, gate: &Gate, count: usize) -> Vec<Invocation<()>> {
    let one = |_| {
        let gate = gate.clone();
        start(pool, move || gate.pass())
    };
    (0..count).map(one).collect()
}

#[test]
fn it_grows_with_the_work_and_not_beyond_the_maximum() {
    within(60, || {
        let pool = RunspacePool::builder().min(1).max(4).open().unwrap();
        assert_eq!((pool.runspaces(), pool.available()), (0, 4));
        let gate = Gate::default();
        for n in 1..=4 {
            drop(held(&pool, &gate, 1));
            assert_eq!(
                (pool.runspaces(), pool.running(), pool.available()),
                (n, n, 4 - n)
            );
        }
        drop(held(&pool, &gate, 5));
        assert_eq!((pool.runspaces(), pool.running(), pool.queued()), (4, 4, 5));
        gate.open();
        pool.close();
        assert_eq!((pool.runspaces(), pool.available()), (0, 0));
    });
}

#[test]
fn threads_are_used_again() {
    within(60, || {
        let pool = RunspacePool::builder().max(4).open().unwrap();
        let threads = |count: usize| -> HashSet<_> {
            let all: Vec<_> = (0..count)
                .map(|_| start(&pool, || thread::current().id()))
                .collect();
            all.into_iter().map(|it| it.end().unwrap()).collect()
        };
        assert!((1..=4).contains(&threads(1000).len()));
        // One after the other it is always the one used last.
        let last: HashSet<_> = (0..50).flat_map(|_| threads(1)).collect();
        assert_eq!(last.len(), 1);
    });
}

#[test]
fn state_belongs_to_a_runspace() {
    within(60, || {
        let pool = RunspacePool::builder().name("crew").max(3).open().unwrap();
        let count = || {
            invoke!(&pool, |rs| {
                let name = rs.name().to_owned();
                assert_eq!(thread::current().name(), Some(&*name));
                *rs.state::<usize>() += 1;
                (rs.id(), name, *rs.state::<usize>())
            })
        };
        let all: Vec<_> = (0..300).map(|_| count()).collect();
        let all: Vec<_> = all.into_iter().map(|it| it.end().unwrap()).collect();
        let ids: HashSet<_> = all.iter().map(|it| it.0).collect();
        assert!(all.iter().all(|it| it.1.starts_with("crew-")));
        for id in ids {
            let mut counts: Vec<_> = all.iter().filter(|it| it.0 == id).map(|it| it.2).collect();
            counts.sort_unstable();
            assert_eq!(counts, (1..=counts.len()).collect::<Vec<_>>());
        }
    });
}

#[test]
fn what_is_idle_goes_down_to_the_minimum() {
    within(60, || {
        let pool = RunspacePool::builder()
            .min(1)
            .max(4)
            .idle_timeout(Duration::from_millis(30));
        let pool = pool.open().unwrap();
        let gate = Gate::default();
        let all = held(&pool, &gate, 4);
        gate.open();
        all.into_iter().for_each(|it| it.end().unwrap());
        until(|| pool.runspaces() == 1);
        assert!(throughout(Duration::from_millis(100), || pool.runspaces() == 1));
        pool.set_min(0).unwrap();
        until(|| pool.runspaces() == 0);
        assert_eq!(start(&pool, || 1).end().unwrap(), 1);
    });
}

#[test]
fn a_higher_maximum_lets_more_run_at_once() {
    within(60, || {
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let gate = Gate::default();
        let all = held(&pool, &gate, 6);
        assert_eq!((pool.running(), pool.queued()), (1, 5));
        pool.set_max(4).unwrap();
        assert_eq!((pool.running(), pool.queued(), pool.max()), (4, 2, 4));
        gate.open();
        all.into_iter().for_each(|it| it.end().unwrap());
    });
}

#[test]
fn a_lower_maximum_ends_nothing_and_lets_nothing_in_until_there_is_room() {
    within(60, || {
        let pool = RunspacePool::builder().min(0).max(4).open().unwrap();
        let (gate, later) = (Gate::default(), Gate::default());
        let first = held(&pool, &gate, 4);
        let second = held(&pool, &later, 3);
        pool.set_max(2).unwrap();
        assert_eq!((pool.running(), pool.queued(), pool.available()), (4, 3, 0));
        gate.open();
        first.into_iter().for_each(|it| it.end().unwrap());
        until(|| pool.running() == 2);
        assert!(throughout(Duration::from_millis(30), || pool.running() == 2));
        assert_eq!((pool.queued(), pool.runspaces()), (1, 2));
        later.open();
        second.into_iter().for_each(|it| it.end().unwrap());
        pool.set_max(1).unwrap();
        until(|| pool.runspaces() <= 1);
    });
}

#[test]
fn limits_that_do_not_go_together_are_refused_in_words() {
    let open = |min, max| RunspacePool::builder().min(min).max(max).open();
    for (min, max, text) in [
        (0, 0, "at most 0 runspaces"),
        (1, 0, "at most 0 runspaces"),
        (5, 4, "at least 5 runspaces and have at most 4"),
    ] {
        let error = open(min, max).unwrap_err();
        assert!(matches!(error.kind(), OpenErrorKind::Limits(_)));
        assert!(error.to_string().contains(text), "{error}");
    }
    let pool = open(2, 4).unwrap();
    assert!(pool.set_min(5).is_err());
    assert!(
        pool.set_max(1)
            .unwrap_err()
            .to_string()
            .contains("lower the minimum")
    );
    assert_eq!((pool.min(), pool.max()), (2, 4));
    assert_eq!(RunspacePool::builder().min(9).open().unwrap().max(), 9);
    assert_eq!(
        RunspacePool::builder().open().unwrap().max(),
        runspace::DEFAULT_THROTTLE
    );
}

#[test]
fn at_most_the_maximum_run_while_it_changes() {
    within(120, || {
        let pool = RunspacePool::builder()
            .min(0)
            .max(8)
            .idle_timeout(Duration::from_micros(50));
        let pool = pool.open().unwrap();
        let running = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let all: Vec<_> = (0..3_000)
            .map(|n: u64| {
                let (running, over) = (Arc::clone(&running), Arc::clone(&over));
                if n.is_multiple_of(100) {
                    pool.set_max(1 + (n as usize / 100) % 8).unwrap();
                }
                start(&pool, move || {
                    if running.fetch_add(1, Ordering::SeqCst) >= 8 {
                        over.store(true, Ordering::SeqCst);
                    }
                    thread::sleep(Duration::from_micros(n % 7 * 10));
                    running.fetch_sub(1, Ordering::SeqCst);
                    n
                })
            })
            .collect();
        for (n, invocation) in (0..).zip(all) {
            assert_eq!(invocation.end().unwrap(), n);
        }
        assert!(!over.load(Ordering::SeqCst));
        pool.close();
        assert_eq!((pool.runspaces(), pool.running(), pool.queued()), (0, 0, 0));
    });
}
