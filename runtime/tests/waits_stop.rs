//! A stop goes down to all that works for what is stopped, on whatever it runs and however deep.

mod support;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runspace::{
    Halt, Invocation, InvocationState, Job, JobQueue, JobState, Runspace, RunspacePool, StopToken,
    foreach_parallel, invoke, start_thread_job, stopping,
};
use support::{until, within};

/// A job that runs until it is told to stop; `begun` hears when its body runs.
fn until_stopped(begun: &Sender<()>) -> Job<()> {
    let begun = begun.clone();
    // Not the queue of the process, where the jobs of the tests beside this one may have all places.
    let queue = JobQueue::new(1);
    start_thread_job!(queue = &queue, using(begun), {
        begun.send(()).unwrap();
        while !stopping() {
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}

/// What items pass out of their call: a job that has begun.
fn passing(keep: &Sender<Job<()>>) {
    let (begun, wait) = channel();
    let job = until_stopped(&begun);
    drop(begun);
    // One that was stopped before it began never does.
    let _ = wait.recv();
    keep.send(job).unwrap();
}

/// A channel whose sender can be captured by a body.
type SharedSender = Arc<Mutex<Sender<Job<()>>>>;

fn shared() -> (SharedSender, Receiver<Job<()>>) {
    let (keep, kept) = channel();
    (Arc::new(Mutex::new(keep)), kept)
}

#[test]
fn a_job_of_an_item_hears_the_timeout_of_the_item() {
    within(60, || {
        let (keep, kept) = shared();
        let outcomes = foreach_parallel!(
            [()],
            timeout = Duration::from_millis(50),
            using(keep),
            |()| {
                passing(&keep.lock().unwrap());
                while !stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        )
        .outcomes();
        assert_eq!(outcomes.filter(Result::is_err).count(), 1);
        assert_eq!(kept.recv().unwrap().wait(), JobState::Stopped);
    });
}

#[test]
fn a_job_of_an_item_hears_the_deadline_of_the_call() {
    within(60, || {
        let (keep, kept) = shared();
        let outcomes = foreach_parallel!(
            [()],
            deadline = Duration::from_millis(50),
            using(keep),
            |()| {
                passing(&keep.lock().unwrap());
                while !stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        )
        .outcomes();
        drop(outcomes.collect::<Vec<_>>());
        assert_eq!(kept.recv().unwrap().wait(), JobState::Stopped);
    });
}

#[test]
fn a_job_of_an_item_hears_a_halt() {
    within(60, || {
        let (keep, kept) = shared();
        let outcomes = foreach_parallel!(
            0..2,
            throttle = 2,
            halt = Halt::now().fail(1),
            using(keep),
            |n| {
                passing(&keep.lock().unwrap());
                assert!(n > 0, "the first fails");
                while !stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        )
        .outcomes();
        drop(outcomes.collect::<Vec<_>>());
        for job in kept.try_iter() {
            assert_eq!(job.wait(), JobState::Stopped);
        }
    });
}

#[test]
fn a_job_of_an_item_hears_a_stop_and_a_drop_of_the_call() {
    within(60, || {
        for drops in [false, true] {
            let (keep, kept) = shared();
            let mut results = foreach_parallel!(0..3, throttle = 3, using(keep), |n| {
                passing(&keep.lock().unwrap());
                while n > 0 && !stopping() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(results.next().is_some());
            match drops {
                true => drop(results),
                false => results.stop_token().stop(),
            }
            for job in kept.iter().take(1) {
                assert_eq!(job.wait(), JobState::Stopped);
            }
        }
    });
}

#[test]
fn a_job_outlives_the_item_and_the_call_that_end_by_themselves() {
    within(60, || {
        let (keep, kept) = shared();
        // One that streams, one that borrows (which is a scope), one with a token for each item.
        foreach_parallel!([()], using(keep.clone()), |()| passing(
            &keep.lock().unwrap()
        ))
        .wait();
        foreach_parallel!(&[()], using(&keep), |_unit| passing(&keep.lock().unwrap())).wait();
        let timeout = Duration::from_secs(50);
        foreach_parallel!([()], timeout = timeout, using(keep.clone()), |()| passing(
            &keep.lock().unwrap()
        ))
        .wait();
        for job in kept.iter().take(3) {
            assert_eq!(job.wait_timeout(Duration::from_millis(20)), None);
            job.stop();
            assert_eq!(job.wait(), JobState::Stopped);
        }
    });
}

/// Starts work that runs until it is stopped, in an item of a call that then ends.
fn of_an_ended_call<R: Send + 'static>(make: impl Fn() -> R + Send + Sync + 'static) -> R {
    // To its end: a call that is dropped part-way is stopped, and what it has made with it.
    let mut made: Vec<R> = foreach_parallel!([()], using(make), |()| make()).collect();
    made.pop().unwrap()
}

fn spinning() -> Job<()> {
    start_thread_job!(queue = &JobQueue::new(1), { spin() })
}

fn spin() {
    while !stopping() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_stop_of_a_job_reaches_what_items_of_an_ended_call_have_made() {
    within(60, || {
        let pool = RunspacePool::builder().max(2).open().unwrap();
        let runspace = Runspace::open().unwrap();
        let (tell, told) = channel();
        // Whoever has the last clone of a pool waits for what runs on it.
        let job = start_thread_job!(
            queue = &JobQueue::new(1),
            using(pool.clone(), runspace.clone(), tell),
            {
                let on_pool = of_an_ended_call(move || invoke!(&pool, { spin() }));
                let on_runspace = of_an_ended_call(move || invoke!(&runspace, { spin() }));
                let inner = of_an_ended_call(spinning);
                let deeper = of_an_ended_call(|| of_an_ended_call(spinning));
                let all: (Invocation<()>, Invocation<()>, Job<()>, Job<()>) =
                    (on_pool, on_runspace, inner, deeper);
                tell.send(all).unwrap();
                spin();
            }
        );
        let (on_pool, on_runspace, inner, deeper) = told.recv().unwrap();
        job.stop();
        assert_eq!(on_pool.wait(), InvocationState::Stopped);
        assert_eq!(on_runspace.wait(), InvocationState::Stopped);
        assert_eq!(inner.wait(), JobState::Stopped);
        assert_eq!(deeper.wait(), JobState::Stopped);
        assert_eq!(job.wait(), JobState::Stopped);
    });
}

#[test]
fn a_stop_of_an_invocation_reaches_what_items_of_an_ended_call_have_made() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (tell, told) = channel();
        let outer = invoke!(&runspace, using(tell), {
            let inner = of_an_ended_call(spinning);
            tell.send(inner).unwrap();
            spin();
        });
        let inner = told.recv().unwrap();
        outer.stop();
        assert_eq!(inner.wait(), JobState::Stopped);
    });
}

#[test]
fn a_stop_passes_a_job_that_has_ended() {
    within(60, || {
        let (tell, told) = channel();
        let outer = start_thread_job!(queue = &JobQueue::new(1), using(tell), {
            start_thread_job!(queue = &JobQueue::new(1), using(tell), {
                tell.send(spinning()).unwrap();
            })
            .wait(); // it may hear of the stop, too
            spin();
        });
        let inner = told.recv().unwrap();
        // The job between the two is gone soon, and its token with it.
        outer.stop();
        assert_eq!(inner.wait(), JobState::Stopped);
        assert_eq!(outer.wait(), JobState::Stopped);
    });
}

#[test]
fn a_stop_of_a_job_that_waits_in_its_queue_comes_from_the_item() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (go, wait) = channel::<()>();
        let holder = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        until(|| holder.state() == JobState::Running);
        let inner = queue.clone();
        let (keep, kept) = shared();
        let results = foreach_parallel!([()], using(inner, keep), |()| {
            let job = start_thread_job!(queue = &inner, { unreachable!("it never starts") });
            keep.lock().unwrap().send(job).unwrap();
            spin();
        });
        let job = kept.recv().unwrap();
        results.stop();
        assert_eq!(job.state(), JobState::Stopped);
        drop(go);
        assert_eq!(holder.wait(), JobState::Completed);
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn a_stop_of_a_job_reaches_the_processes_that_items_of_an_ended_call_have_started() {
    use runspace::start_job;
    within(60, || {
        let (tell, told) = channel();
        let job = start_thread_job!(queue = &JobQueue::new(1), using(tell), {
            let body = of_an_ended_call(|| {
                start_job!({
                    while !stopping() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                })
            });
            let file = of_an_ended_call(|| start_job!(file = "sleep", args = ["600"]));
            tell.send((body, file)).unwrap();
            spin();
        });
        let (body, file) = told.recv().unwrap();
        job.stop();
        assert_eq!(body.wait(), JobState::Stopped);
        assert_eq!(file.wait(), JobState::Stopped);
    });
}

#[test]
fn a_stop_goes_down_as_deep_as_there_are_tokens() {
    within(60, || {
        let first = StopToken::new();
        let mut tokens = vec![first.clone()];
        for _ in 0..200_000 {
            let child = tokens.last().unwrap().child();
            tokens.push(child);
        }
        first.stop();
        assert!(tokens.iter().all(StopToken::is_stopping));
        drop(tokens); // nor does this come to the end of a stack
    });
}

#[test]
fn a_token_between_may_go() {
    let first = StopToken::new();
    let last = first.child().child().child();
    let side = first.child();
    side.stop();
    assert!(!last.is_stopping());
    first.stop();
    assert!(last.is_stopping());
}

#[test]
fn tokens_that_go_while_a_stop_comes_down_lose_nobody() {
    within(60, || {
        for _ in 0..500 {
            let first = StopToken::new();
            let (mut between, mut leaves) = (Vec::new(), Vec::new());
            let mut last = first.clone();
            for _ in 0..8 {
                let next = last.child();
                leaves.push(next.child());
                between.push(std::mem::replace(&mut last, next));
            }
            drop(last);
            std::thread::scope(|s| {
                let (left, right) = between.split_at_mut(4);
                s.spawn(|| left.iter_mut().for_each(|it| *it = StopToken::new()));
                s.spawn(|| right.iter_mut().rev().for_each(|it| *it = StopToken::new()));
                s.spawn(|| first.stop());
            });
            assert!(leaves.iter().all(StopToken::is_stopping));
        }
    });
}
