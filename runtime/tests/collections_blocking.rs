//! Every wait at a blocking collection ends: with a value, with room, with completion, in its time,
//! or with a stop.

mod support;

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use runspace::collections::{AddErrorKind, BlockingCollection, TakeError};
use runspace::{JobState, foreach_parallel, start_thread_job};
use support::{until, within};

#[test]
fn producers_and_consumers_through_a_narrow_gate() {
    within(120, || {
        for capacity in [1, 2, 64] {
            let line = BlockingCollection::bounded(capacity);
            let sum: u64 = thread::scope(|scope| {
                let producers: Vec<_> = (0..4)
                    .map(|_| {
                        let line = line.clone();
                        scope.spawn(move || (1..=2_500u64).for_each(|n| line.add(n).unwrap()))
                    })
                    .collect();
                let consumers: Vec<_> = (0..3)
                    .map(|_| scope.spawn(|| line.consuming_iter().sum::<u64>()))
                    .collect();
                producers.into_iter().for_each(|it| it.join().unwrap());
                line.complete_adding();
                consumers.into_iter().map(|it| it.join().unwrap()).sum()
            });
            assert_eq!(sum, 4 * 2_500 * 2_501 / 2);
            assert!(line.is_completed());
        }
    });
}

#[test]
fn each_error_says_what_has_happened() {
    let line = BlockingCollection::bounded(1);
    assert_eq!(
        line.take_for(Duration::ZERO).unwrap_err().to_string(),
        "the collection is empty"
    );
    line.add(1).unwrap();
    let full = line.try_add(2).unwrap_err();
    assert_eq!(full.to_string(), "the collection is full");
    // The value is not shown: it need not be one that can be.
    assert_eq!(format!("{full:?}"), "AddError { kind: Full, .. }");
    line.complete_adding();
    assert!(line.is_adding_completed());
    let late = line.try_add(2).unwrap_err();
    assert!(
        late.to_string().contains("adding is complete"),
        "{late}: {late:?}"
    );
    assert_eq!(line.take_for(Duration::ZERO), Ok(1));
    assert!(line.is_empty());
    assert_eq!(
        line.take_for(Duration::ZERO).unwrap_err().to_string(),
        "the collection is empty and adding is complete"
    );
}

#[test]
fn a_full_collection_has_producers_wait() {
    within(60, || {
        let line = BlockingCollection::bounded(2);
        line.add(1).unwrap();
        line.add(2).unwrap();
        assert_eq!(line.try_add(3).unwrap_err().kind(), AddErrorKind::Full);
        let start = Instant::now();
        let late = line.try_add_for(3, Duration::from_millis(20)).unwrap_err();
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert_eq!((late.kind(), late.into_inner()), (AddErrorKind::Full, 3));
        let other = line.clone();
        let waiting = thread::spawn(move || other.add(4));
        thread::sleep(Duration::from_millis(10));
        assert!(!waiting.is_finished());
        assert_eq!(line.take(), Ok(1));
        waiting.join().unwrap().unwrap();
        assert_eq!((line.len(), line.capacity()), (2, Some(2)));
    });
}

#[test]
fn completion_ends_the_waits_of_both_sides() {
    within(60, || {
        let empty = BlockingCollection::<u8>::unbounded();
        let full = BlockingCollection::bounded(1);
        full.add(0).unwrap();
        thread::scope(|scope| {
            let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| empty.take())).collect();
            let adders: Vec<_> = (1..4).map(|n| (n, &full)).collect();
            let adders: Vec<_> = adders
                .into_iter()
                .map(|(n, full)| scope.spawn(move || full.add(n)))
                .collect();
            thread::sleep(Duration::from_millis(10));
            empty.complete_adding();
            full.complete_adding();
            for taker in takers {
                assert_eq!(taker.join().unwrap(), Err(TakeError::Completed));
            }
            for adder in adders {
                let error = adder.join().unwrap().unwrap_err();
                assert_eq!(error.kind(), AddErrorKind::Completed);
            }
        });
        assert!(empty.is_completed() && !full.is_completed());
        assert_eq!(
            (full.take(), full.take()),
            (Ok(0), Err(TakeError::Completed))
        );
        assert!(full.is_completed());
    });
}

#[test]
fn the_stop_of_a_body_ends_its_waits() {
    within(60, || {
        let line = BlockingCollection::<u8>::bounded(1);
        let taker = start_thread_job!(using(line.clone()), { line.take() });
        until(|| taker.state() == JobState::Running);
        thread::sleep(Duration::from_millis(5));
        taker.stop();
        assert_eq!(taker.wait(), JobState::Stopped);
        assert_eq!(taker.receive(), [Err(TakeError::Stopped)]);

        line.add(1).unwrap();
        let adder = start_thread_job!(using(line.clone()), { line.add(2).map_err(|it| it.kind()) });
        until(|| adder.state() == JobState::Running);
        adder.stop();
        assert_eq!(adder.wait(), JobState::Stopped);
        // Stopped before it began, there is nothing to receive.
        assert!(
            adder
                .receive()
                .iter()
                .all(|it| *it == Err(AddErrorKind::Stopped))
        );
        assert_eq!(line.len(), 1);
    });
}

#[test]
fn dropping_results_ends_items_that_wait() {
    within(60, || {
        let line = BlockingCollection::<u32>::unbounded();
        let mut results = foreach_parallel!(0..8, throttle = 4, using(line.clone()), |n: u32| {
            if n > 0 {
                line.consuming_iter().count()
            } else {
                0
            }
        });
        assert_eq!(results.next(), Some(0));
        drop(results);
        line.add(1).unwrap();
        assert_eq!(line.try_take(), Some(1), "nobody is left who waits for it");
    });
}

#[test]
fn a_consuming_iterator_ends_with_a_stop_although_there_are_values() {
    within(60, || {
        let line: BlockingCollection<u32> = (0..100).collect();
        let (send, receive) = channel();
        let job = start_thread_job!(using(line.clone(), send), {
            for n in line.consuming_iter() {
                send.send(n).unwrap();
                while n == 3 && !runspace::stopping() {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(receive.iter().take(4).last(), Some(3));
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert_eq!(line.len(), 96);
    });
}

#[test]
fn a_value_that_comes_while_others_give_up_reaches_someone() {
    within(120, || {
        for _ in 0..300 {
            let line = BlockingCollection::<u8>::unbounded();
            let limit = Duration::from_micros(200);
            thread::scope(|scope| {
                let late: Vec<_> = (0..3)
                    .map(|_| scope.spawn(|| line.take_for(limit)))
                    .collect();
                let patient = scope.spawn(|| line.take());
                thread::sleep(Duration::from_micros(150));
                line.add(1).unwrap();
                for taker in late {
                    if taker.join().unwrap().is_ok() {
                        line.add(2).unwrap(); // it was faster than the patient one
                    }
                }
                assert!(patient.join().unwrap().is_ok());
            });
        }
    });
}

#[test]
fn waits_leave_nothing_behind_at_a_token() {
    within(120, || {
        let line = BlockingCollection::<u32>::bounded(1);
        let job = start_thread_job!(using(line.clone()), {
            (0..20_000).for_each(|n| line.add(n).unwrap());
            line.complete_adding();
        });
        assert_eq!(line.consuming_iter().count(), 20_000);
        job.join().unwrap();
    });
}
