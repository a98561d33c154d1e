//! Parallel calls inside of jobs: their items run for the job, wait in its name, and stop with it.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use runspace::{Job, JobQueue, JobState, Level, foreach_parallel, jobs, record, start_thread_job};
use support::{until, within};

/// A job whose items each wait for a job of the same queue, all at once.
fn fan(queue: &JobQueue, depth: u32) -> Job<u32> {
    let inner = queue.clone();
    start_thread_job!(queue = queue, using(inner, depth), {
        match depth {
            0 => 1,
            _ => foreach_parallel!(0..3, throttle = 3, using(inner, depth), |_| {
                fan(&inner, depth - 1).join().unwrap()
            })
            .sum(),
        }
    })
}

#[test]
fn several_workers_of_one_job_wait_at_once() {
    within(60, || {
        for throttle in 1..4 {
            for depth in 0..4 {
                let queue = JobQueue::new(throttle);
                assert_eq!(fan(&queue, depth).join().unwrap(), 3u32.pow(depth));
                until(|| (queue.running(), queue.queued()) == (0, 0));
            }
        }
    });
}

#[test]
fn workers_that_wait_for_jobs_started_before_them() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), {
            let parts: Vec<_> = (0..20u32)
                .map(|n| start_thread_job!(queue = &inner, using(n), { n }))
                .collect();
            // The last of the line first.
            let parts = parts.into_iter().rev();
            foreach_parallel!(parts, throttle = 4, |part| part.join().unwrap()).sum::<u32>()
        });
        assert_eq!(outer.join().unwrap(), 190);
    });
}

#[test]
fn a_call_turned_into_a_job_is_waited_for() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), {
            let call = foreach_parallel!(0..5u32, throttle = 2, using(inner), |n| {
                start_thread_job!(queue = &inner, using(n), { n * 2 })
                    .join()
                    .unwrap()
            })
            .into_job();
            call.iter().sum::<u32>()
        });
        assert_eq!(outer.join().unwrap(), 20);
    });
}

#[test]
fn an_item_that_waits_for_its_own_job_is_told() {
    within(60, || {
        let job = start_thread_job!(name = "whole", |job| {
            let id = job.id();
            let told = foreach_parallel!([id], |id| {
                let whole = jobs().get(id).unwrap().clone();
                match catch_unwind(AssertUnwindSafe(|| whole.wait())) {
                    Ok(state) => state.to_string(),
                    Err(payload) => *payload.downcast::<String>().unwrap(),
                }
            });
            told.for_each(|text| job.emit(text));
        });
        let text = job.join().unwrap();
        assert!(text.starts_with("job `whole` waits for itself"), "{text}");
    });
}

/// One of its items waits for the reader, but the body itself goes on and emits.
#[test]
fn reading_from_a_job_whose_item_waits_for_the_reader_is_no_ring() {
    within(60, || {
        let (readers, writers) = (JobQueue::new(1), JobQueue::new(1));
        let (go, wait) = channel::<()>();
        let (tell, told) = channel::<Job<u32>>();
        let watched = writers.clone();
        let reader = start_thread_job!(queue = &readers, using(told, go, watched), {
            let writer = told.recv().unwrap();
            until(|| watched.running() == 0); // its item waits for this job
            let later = std::thread::spawn(move || {
                std::thread::sleep(std::time::Duration::from_millis(50));
                go.send(()).unwrap();
            });
            let first = writer.iter().next();
            later.join().unwrap();
            (first, writer)
        });
        let entry = jobs().get(reader.id()).unwrap().clone();
        let writer = start_thread_job!(queue = &writers, using(entry, wait), |job| {
            let waits = foreach_parallel!([entry], |entry| entry.wait());
            wait.recv().unwrap();
            job.emit(1);
            job.emit(waits.count() as u32 + 1);
        });
        tell.send(writer).unwrap();
        let (first, writer) = reader.join().unwrap();
        assert_eq!(first, Some(1));
        assert_eq!(writer.join().unwrap(), 2);
    });
}

#[test]
fn a_stop_reaches_the_items() {
    within(60, || {
        let job = start_thread_job!({
            foreach_parallel!(0..100, throttle = 2, |_| {
                record(Level::Verbose, "running");
                while !runspace::stopping() {
                    std::thread::yield_now();
                }
            })
            .outcomes()
            .filter(|it| it.is_ok())
            .count()
        });
        until(|| job.records().len() == 2);
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(job.records().len() < 100);
    });
}

#[test]
fn items_emit_for_the_job_and_stop_with_it() {
    within(60, || {
        let job = start_thread_job!(|job| {
            let job: &runspace::JobContext<u32> = job;
            foreach_parallel!(0..4, throttle = 4, using(&job), |_| {
                for n in 0u32.. {
                    job.emit(n);
                }
            })
            .for_each(drop);
        });
        until(|| job.has_more_data());
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped, "{:?}", job.records());
    });
}

/// The job has ended with the call as its value: who waits for items then waits in nobody's name.
#[test]
fn items_outlive_the_job_that_started_them() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let (go, wait) = channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        let waiting = Arc::new(AtomicU32::new(0));
        let outer = start_thread_job!(queue = &queue, using(inner, wait, waiting.clone()), {
            foreach_parallel!(0..3u32, throttle = 3, using(inner, wait, waiting), |n| {
                let part = start_thread_job!(queue = &inner, using(n, wait.clone()), {
                    let _ = wait.lock().unwrap().recv();
                    n
                });
                waiting.fetch_add(1, Ordering::SeqCst);
                part.join().unwrap()
            })
        });
        assert_eq!(outer.wait(), JobState::Completed);
        until(|| waiting.load(Ordering::SeqCst) == 3);
        let results = outer.receive().pop().unwrap();
        drop(outer);
        until(|| queue.running() == 1);
        (0..3).for_each(|_| go.send(()).unwrap());
        assert_eq!(results.sum::<u32>(), 3);
        until(|| (queue.running(), queue.queued()) == (0, 0));
    });
}

/// A job that fills its queue reads a call that was made outside of it, whose items join jobs of that very queue.
#[test]
fn a_job_that_reads_a_call_made_elsewhere_lends_its_place_to_what_its_items_wait_for() {
    within(60, || {
        for round in 0..20 {
            let queue = JobQueue::new(1);
            let inner = queue.clone();
            let (go, wait) = channel::<()>();
            let wait = Mutex::new(wait);
            let call = foreach_parallel!(0..6u32, throttle = 2, using(inner, wait), |n| {
                if n < 2 {
                    wait.lock().unwrap().recv().unwrap(); // until the reader has the place
                }
                start_thread_job!(queue = &inner, using(n), { n * 2 })
                    .join()
                    .unwrap()
            });
            let running = queue.clone();
            let reader = start_thread_job!(queue = &queue, using(call, go, running), {
                assert_eq!(running.running(), 1);
                go.send(()).unwrap();
                // Before it waits, or while it does.
                std::thread::sleep(std::time::Duration::from_millis(round % 4));
                go.send(()).unwrap();
                call.sum::<u32>()
            });
            assert_eq!(reader.join().unwrap(), 30);
            until(|| (queue.running(), queue.queued()) == (0, 0));
        }
    });
}

/// The same by way of a call that an item has made, and of a job that does not stand in the queue.
#[test]
fn what_an_inner_call_waits_for_is_waited_for_by_who_reads_the_outer_one() {
    within(60, || {
        let queue = JobQueue::new(1);
        let others = JobQueue::new(1);
        let (inner, middle) = (queue.clone(), others.clone());
        let (go, wait) = channel::<()>();
        let call = foreach_parallel!(
            [()],
            throttle = 1,
            using(inner, middle, wait = Mutex::new(wait)),
            |()| {
                wait.lock().unwrap().recv().unwrap();
                let (inner, middle) = (inner.clone(), middle.clone());
                foreach_parallel!(0..4u32, throttle = 2, using(inner, middle), |n| {
                    let inner = inner.clone();
                    // It waits in turn, in a queue of its own.
                    start_thread_job!(queue = &middle, using(inner, n), {
                        start_thread_job!(queue = &inner, using(n), { n + 1 })
                            .join()
                            .unwrap()
                    })
                    .join()
                    .unwrap()
                })
                .sum::<u32>()
            }
        );
        let reader = start_thread_job!(queue = &queue, using(call, go), {
            go.send(()).unwrap();
            call.sum::<u32>()
        });
        assert_eq!(reader.join().unwrap(), 10);
        until(|| (queue.running(), queue.queued()) == (0, 0));
    });
}

/// One who is no job reads, and the items are those of a job: nothing is lent that nobody has.
#[test]
fn a_call_of_a_job_can_be_read_by_another_job() {
    within(60, || {
        let queue = JobQueue::new(2);
        let inner = queue.clone();
        let maker = start_thread_job!(queue = &queue, using(inner), |job| {
            job.emit(foreach_parallel!(
                0..5u32,
                throttle = 3,
                using(inner),
                |n| {
                    start_thread_job!(queue = &inner, using(n), { n })
                        .join()
                        .unwrap()
                }
            ));
        });
        let reader = start_thread_job!(queue = &queue, using(maker), {
            let calls: Vec<_> = maker.iter().collect();
            calls.into_iter().flatten().sum::<u32>()
        });
        assert_eq!(reader.join().unwrap(), 10);
        until(|| (queue.running(), queue.queued()) == (0, 0));
    });
}
