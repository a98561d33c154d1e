//! Promise 5: a drop, a stop, a panic in the consumer leave no item running and nothing captured.
//! Promise 6: no wait without an end.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use runspace::{foreach_parallel, stopping};
use support::{until, within};

/// Counts bodies that are running.
#[derive(Clone, Default)]
struct Running(Arc<AtomicUsize>);

impl Running {
    fn enter(&self) -> impl Drop + use<> {
        struct Leave(Arc<AtomicUsize>);
        impl Drop for Leave {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        Leave(self.0.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Endless items, each of which runs until it is told to stop.
fn obedient(running: &Running) -> runspace::Results<()> {
    foreach_parallel!(0.., throttle = 3, using(running.clone()), |n| {
        let _in = running.enter();
        while n > 0 && !stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

#[test]
fn a_drop_part_way_ends_everything() {
    within(30, || {
        let running = Running::default();
        let mut results = obedient(&running);
        assert!(results.next().is_some());
        until(|| running.count() > 0);
        drop(results);
        assert_eq!(running.count(), 0);
        assert_eq!(
            Arc::strong_count(&running.0),
            1,
            "what was captured is dropped"
        );
    });
}

#[test]
fn stop_says_it_in_words() {
    within(30, || {
        let running = Running::default();
        let results = obedient(&running);
        until(|| running.count() == 3 || running.count() == 2);
        results.stop();
        assert_eq!((running.count(), Arc::strong_count(&running.0)), (0, 1));
    });
}

#[test]
fn a_panic_in_the_consumer_ends_everything() {
    within(30, || {
        let running = Running::default();
        let raised = catch_unwind(AssertUnwindSafe(|| {
            let mut results = obedient(&running);
            results.next();
            panic!("consumer");
        }));
        assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"consumer"));
        assert_eq!((running.count(), Arc::strong_count(&running.0)), (0, 1));
    });
}

#[test]
fn an_untouched_call_is_stopped_by_unwinding() {
    within(30, || {
        let running = Running::default();
        let raised = catch_unwind(AssertUnwindSafe(|| {
            let _results = obedient(&running);
            panic!("before it was read");
        }));
        assert!(raised.is_err());
        assert_eq!(running.count(), 0);
    });
}

#[test]
fn dropped_untouched_it_runs_to_its_end() {
    within(30, || {
        let ran = Arc::new(AtomicUsize::new(0));
        foreach_parallel!(0..500, throttle = 3, using(ran.clone()), |_n| {
            ran.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(ran.load(Ordering::SeqCst), 500);
        drop(
            foreach_parallel!(0..500, using(ran.clone()), |_n| {
                ran.fetch_add(1, Ordering::SeqCst);
            })
            .outcomes(),
        );
        assert_eq!(ran.load(Ordering::SeqCst), 1000);
        assert_eq!(Arc::strong_count(&ran), 1);
    });
}

#[test]
fn dropped_untouched_it_raises_the_first_failure_after_all_items() {
    within(30, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let raised = catch_unwind(AssertUnwindSafe(|| {
            foreach_parallel!(0..100, using(ran.clone()), |n| {
                ran.fetch_add(1, Ordering::SeqCst);
                assert!(n != 10, "ten");
            });
        }));
        assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"ten"));
        assert_eq!(ran.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_captures() {
    within(30, || {
        for _ in 0..200 {
            let shared = Arc::new(());
            let mut results = foreach_parallel!(0..10, using(shared.clone()), |n| {
                let _ = &shared;
                n
            });
            while results.next().is_some() {}
            assert!(Arc::into_inner(shared).is_some());
        }
    });
}

#[test]
fn a_token_stops_from_another_thread_and_the_stream_ends() {
    within(30, || {
        let running = Running::default();
        let results = obedient(&running);
        let token = results.stop_token();
        let seen = running.clone();
        let stopper = std::thread::spawn(move || {
            until(|| seen.count() > 0);
            token.stop();
        });
        let outcomes: Vec<_> = results.outcomes().collect();
        stopper.join().unwrap();
        assert!(
            outcomes
                .iter()
                .flat_map(|it| it.as_ref().err())
                .all(|it| it.is_stopped())
        );
        assert_eq!(running.count(), 0);
    });
}

#[test]
fn a_body_can_stop_its_own_call() {
    within(30, || {
        let ran: Vec<u32> = foreach_parallel!(0.., throttle = 2, |n: u32| {
            if n == 20 {
                runspace::stop_token().stop();
            }
            n
        })
        .collect();
        assert!(ran.len() >= 10, "{ran:?}");
    });
}

#[test]
fn a_stop_reaches_the_calls_made_inside() {
    within(30, || {
        let running = Running::default();
        let inner = running.clone();
        let mut results = foreach_parallel!(0.., throttle = 2, using(inner), |n| {
            if n > 0 {
                obedient(&inner).for_each(drop);
            }
        });
        assert!(results.next().is_some());
        until(|| running.count() > 0);
        drop(results);
        assert_eq!(running.count(), 0);
    });
}

#[test]
fn an_endless_emitter_ends_with_its_reader() {
    within(30, || {
        let dropped = Arc::new(AtomicBool::new(false));
        struct Note(Arc<AtomicBool>);
        impl Drop for Note {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let note = dropped.clone();
        let mut results = foreach_parallel!([1], using(note), |n, job| {
            let _note = Note(note.clone());
            loop {
                job.emit(n);
            }
        });
        assert_eq!(results.next(), Some(1));
        drop(results);
        assert!(dropped.load(Ordering::SeqCst), "its destructors have run");
    });
}

#[test]
fn an_input_that_hangs_does_not_hang_a_drop() {
    within(30, || {
        let (give, input) = mpsc::channel();
        give.send(1).unwrap();
        let mut results = foreach_parallel!(input, |n| n);
        assert_eq!(results.next(), Some(1));
        let start = Instant::now();
        drop(results);
        assert!(start.elapsed() < Duration::from_secs(10));
        // What comes late is dropped, and so in the end is the input.
        until(|| give.send(2).is_err());
    });
}

#[test]
fn a_slow_input_is_waited_for() {
    within(30, || {
        let held = Arc::new(());
        let input = {
            let held = held.clone();
            std::iter::repeat_with(move || {
                std::thread::sleep(Duration::from_millis(50));
                Arc::clone(&held)
            })
        };
        let mut results = foreach_parallel!(input, |_n| ());
        assert!(results.next().is_some());
        drop(results);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_drop_on_another_thread() {
    within(30, || {
        for _ in 0..50 {
            let running = Running::default();
            let mut results = obedient(&running);
            assert!(results.next().is_some());
            std::thread::spawn(move || drop(results)).join().unwrap();
            assert_eq!(running.count(), 0);
        }
    });
}

#[test]
fn results_moved_into_their_own_body_do_not_wait_for_themselves() {
    within(30, || {
        let slot = Arc::new(std::sync::Mutex::new(None::<runspace::Results<()>>));
        let (done, wait) = mpsc::channel();
        let inner = slot.clone();
        let results = foreach_parallel!(0..1, using(inner), |_n| {
            until(|| inner.lock().unwrap().is_some());
            drop(inner.lock().unwrap().take());
            done.send(()).unwrap();
        });
        *slot.lock().unwrap() = Some(results);
        wait.recv().unwrap();
    });
}

#[test]
fn locks_held_while_waiting_deadlock_nobody() {
    // A waiting thread runs no foreign items: an inner call under a lock that outer items want.
    within(60, || {
        let lock = std::sync::Mutex::new(0);
        foreach_parallel!(0..20, throttle = 4, using(&lock), |_n| {
            let mut sum = lock.lock().unwrap();
            *sum += foreach_parallel!(0..50_u32, throttle = 2, |n| n).sum::<u32>();
        })
        .wait();
        assert_eq!(lock.into_inner().unwrap(), 20 * 1225);
    });
}

#[test]
fn nesting_to_depth_eleven() {
    fn down(depth: u32) -> u32 {
        if depth == 0 {
            return 1;
        }
        foreach_parallel!(0..2, throttle = 2, using(depth), |_n| down(depth - 1)).sum()
    }
    within(120, || assert_eq!(down(11), 2048));
}

#[test]
fn a_call_goes_on_as_a_job() {
    within(30, || {
        let job = foreach_parallel!(0..100_u32, name = "hundred", |n| {
            assert!(n / 2 != 25, "fifty");
            n
        })
        .into_job();
        assert_eq!(job.name(), "hundred");
        assert_eq!(job.wait(), runspace::JobState::Failed);
        assert_eq!(job.receive().len(), 98);
        assert_eq!(job.records().len(), 2, "{:?}", job.records());
        let error = job.join().unwrap_err();
        // Either of the two may be done first.
        assert!(error.to_string().contains("of `hundred`"), "{error}");
        assert!(error.to_string().contains("item 5"), "{error}");
    });
}

#[test]
fn stopping_the_job_stops_the_call() {
    within(30, || {
        let running = Running::default();
        let job = obedient(&running).into_job();
        until(|| running.count() > 0);
        job.stop();
        assert_eq!(job.wait(), runspace::JobState::Stopped);
        assert_eq!((running.count(), Arc::strong_count(&running.0)), (0, 1));
    });
}
