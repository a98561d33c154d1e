//! What runs inside of what is one chain, across calls, jobs, invocations and pools: what can end does, whatever
//! waits in between, and a ring is refused in words at the one that closes it.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runspace::{
    Invocation, InvocationErrorKind, Job, JobErrorKind, JobQueue, JobState, Runspace, RunspacePool,
    RunspaceState, foreach_parallel, invoke, jobs, start_thread_job, wait_all, wait_any,
};
use support::{until, within};

fn pool(max: usize) -> RunspacePool {
    RunspacePool::builder().max(max).open().unwrap()
}

/// What a wait says that is refused by a panic.
fn refusal<R>(wait: impl FnOnce() -> R) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(wait)).err()?;
    Some(
        *payload
            .downcast::<String>()
            .expect("a refusal has a text of its own"),
    )
}

#[track_caller]
fn assert_refused(text: Option<&String>) {
    let text = text.expect("the wait should be refused");
    assert!(text.ends_with("this wait would never end"), "{text}");
}

// Pools.

#[test]
fn an_item_on_a_pool_makes_an_ordinary_call_whose_items_come_back_to_the_pool() {
    within(60, || {
        for max in 1..4 {
            let pool = pool(max);
            let inside = pool.clone();
            let sum: u32 = foreach_parallel!(0..4u32, on = pool(&pool), using(inside), |n| {
                foreach_parallel!(0..3u32, throttle = 3, using(inside.clone(), n), |m| {
                    let call: u32 =
                        foreach_parallel!(0..2u32, on = pool(&inside), using(n), |k| n + k).sum();
                    call + invoke!(&inside, using(m), { m }).end().unwrap()
                })
                .sum::<u32>()
            })
            .sum();
            assert_eq!(sum, 3 * (2 * 6 + 4) + 4 * 3);
            pool.close();
            assert_eq!(pool.state(), RunspaceState::Closed);
        }
    });
}

#[test]
fn an_invocation_makes_calls_in_calls_that_come_back_to_the_pool() {
    within(60, || {
        let pool = pool(1);
        let inside = pool.clone();
        let outer = invoke!(&pool, using(inside), {
            foreach_parallel!(0..2u32, using(inside), |_| {
                foreach_parallel!(0..2u32, using(inside.clone()), |_| {
                    foreach_parallel!(0..2u32, on = pool(&inside), |n| n).sum::<u32>()
                })
                .sum::<u32>()
            })
            .sum::<u32>()
        });
        assert_eq!(outer.end().unwrap(), 4);
    });
}

#[test]
fn a_call_on_ones_own_pool_becomes_a_job_that_is_waited_for() {
    within(60, || {
        for max in 1..3 {
            // From an invocation.
            let pool = pool(max);
            let inside = pool.clone();
            let outer = invoke!(&pool, using(inside), {
                let job = foreach_parallel!(0..9u32, on = pool(&inside), |n| n).into_job();
                job.iter().sum::<u32>()
            });
            assert_eq!(outer.end().unwrap(), 36);
            // From an item, and from a job that the item waits for.
            let inside = pool.clone();
            let sum = foreach_parallel!(0..3u32, on = pool(&pool), using(inside), |_| {
                let inside = inside.clone();
                let job = start_thread_job!(using(inside), {
                    let job = foreach_parallel!(0..9u32, on = pool(&inside), |n| n).into_job();
                    job.wait();
                    job.receive().into_iter().sum::<u32>()
                });
                job.join().unwrap()
            })
            .sum::<u32>();
            assert_eq!(sum, 108);
            pool.close();
        }
    });
}

#[test]
fn a_job_between_two_bodies_of_one_pool_is_no_matter() {
    within(60, || {
        let pool = pool(1);
        let inside = pool.clone();
        let outer = invoke!(&pool, using(inside), {
            let job = start_thread_job!(using(inside), {
                let call = foreach_parallel!(0..3u32, on = pool(&inside), |n| n).sum::<u32>();
                call + invoke!(&inside, { 4 }).end().unwrap()
            });
            job.join().unwrap()
        });
        assert_eq!(outer.end().unwrap(), 7);
    });
}

#[test]
fn a_job_made_outside_that_reads_a_call_on_the_pool_of_who_waits_for_it() {
    within(60, || {
        for _ in 0..20 {
            let pool = pool(1);
            let (go, wait) = channel::<()>();
            let inside = pool.clone();
            let job = start_thread_job!(using(inside, wait), {
                wait.recv().unwrap();
                foreach_parallel!(0..3u32, on = pool(&inside), |n| n).sum::<u32>()
            });
            let outer = invoke!(&pool, using(job, go), {
                go.send(()).unwrap();
                job.join().unwrap()
            });
            assert_eq!(outer.end().unwrap(), 3);
        }
    });
}

#[test]
fn an_item_closes_the_pool_that_it_runs_for_from_wherever_it_is() {
    within(60, || {
        let pool = pool(1);
        let inside = pool.clone();
        let outer = foreach_parallel!([()], on = pool(&pool), using(inside), |()| {
            let inside = inside.clone();
            foreach_parallel!([()], using(inside), |()| {
                // The pool waits for the item, which waits for this one: it closes by itself later.
                inside.close();
                let inside = inside.clone();
                start_thread_job!(using(inside), { inside.close() })
                    .join()
                    .unwrap();
            })
            .count()
        });
        assert_eq!(outer.sum::<usize>(), 1);
        pool.close();
        assert_eq!(pool.state(), RunspaceState::Closed);
    });
}

#[cfg(feature = "rayon")]
#[test]
fn an_item_on_rayon_makes_an_ordinary_call_whose_items_come_back_to_rayon() {
    within(60, || {
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let rayon = Arc::new(one.unwrap());
        let inside = Arc::clone(&rayon);
        let sum = foreach_parallel!(0..3u32, on = rayon(&rayon), using(inside), |_| {
            let call = foreach_parallel!(0..3u32, using(inside.clone()), |_| {
                foreach_parallel!(0..3u32, on = rayon(&inside), |n| n).sum::<u32>()
            })
            .sum::<u32>();
            let inside = Arc::clone(&inside);
            let job = start_thread_job!(using(inside), {
                let of_call = foreach_parallel!(0..3u32, on = rayon(&inside), |n| n).sum::<u32>();
                let job = foreach_parallel!(0..3u32, on = rayon(&inside), |n| n).into_job();
                of_call + job.iter().sum::<u32>()
            });
            call + job.join().unwrap()
        })
        .sum::<u32>();
        assert_eq!(sum, 3 * (9 + 6));
    });
}

// Queues.

#[test]
fn a_job_lends_its_place_through_an_invocation() {
    within(60, || {
        let queue = JobQueue::new(1);
        let (runspace, pool) = (Runspace::open().unwrap(), pool(1));
        let inner = queue.clone();
        let job = start_thread_job!(queue = &queue, using(inner, runspace, pool), {
            let again = inner.clone();
            let one = invoke!(&runspace, using(again), {
                start_thread_job!(queue = &again, { 1 }).join().unwrap()
            });
            let other = invoke!(&pool, using(inner), {
                foreach_parallel!(0..3u32, using(inner), |n| {
                    start_thread_job!(queue = &inner, using(n), { n })
                        .join()
                        .unwrap()
                })
                .sum::<u32>()
            });
            one.end().unwrap() + other.end().unwrap()
        });
        assert_eq!(job.join().unwrap(), 4);
        until(|| (queue.running(), queue.queued()) == (0, 0));
    });
}

#[test]
fn a_job_lends_its_place_to_what_one_ahead_on_the_runspace_waits_for() {
    within(60, || {
        let queue = JobQueue::new(1);
        let runspace = Runspace::open().unwrap();
        let (go, wait) = channel::<()>();
        let inner = queue.clone();
        let first = invoke!(&runspace, using(inner, wait), {
            wait.recv().unwrap(); // until the only place is taken
            start_thread_job!(queue = &inner, { 5 }).join().unwrap()
        });
        let job = start_thread_job!(queue = &queue, using(runspace, go), {
            let second = invoke!(&runspace, { 6 });
            go.send(()).unwrap();
            second.end().unwrap()
        });
        assert_eq!(job.join().unwrap(), 6);
        assert_eq!(first.end().unwrap(), 5);
    });
}

// Rings.

#[test]
fn a_runspace_a_job_and_the_same_runspace_are_a_ring() {
    within(60, || {
        for late in [false, true] {
            let runspace = Runspace::builder().name("one").open().unwrap();
            let inside = runspace.clone();
            let outer = invoke!(&runspace, name = "outer", using(inside, late), {
                let (begun, wait) = channel();
                let job = start_thread_job!(name = "between", using(inside, begun), {
                    let inner = invoke!(&inside, name = "inner", { 1 });
                    begun.send(()).unwrap();
                    inner.end().map_err(|it| it.to_string())
                });
                if late {
                    wait.recv().unwrap();
                    std::thread::sleep(Duration::from_millis(20)); // whichever closes it is told
                }
                job.join()
                    .map_err(|it| it.to_string())
                    .and_then(|it| it)
                    .unwrap_err()
            });
            let text = outer.end().unwrap();
            assert!(text.contains("this wait would never end"), "{text}");
            assert!(text.contains("job `between`"), "{text}");
            assert!(
                text.contains("which is queued behind `outer` on runspace `one`"),
                "{text}"
            );
        }
    });
}

#[test]
fn a_job_and_an_invocation_that_wait_for_each_other_are_a_ring() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (tell, told) = channel::<Invocation<bool>>();
        let job = start_thread_job!(using(told), { told.recv().unwrap().end() });
        let entry = jobs().get(job.id()).unwrap().clone();
        let invocation = invoke!(&runspace, using(entry), {
            refusal(|| entry.wait()).is_some()
        });
        tell.send(invocation).unwrap();
        match job.join().unwrap() {
            Ok(refused) => assert!(refused),
            Err(error) => assert!(matches!(error.kind(), InvocationErrorKind::Deadlock(_))),
        }
    });
}

#[test]
fn a_job_that_reads_a_call_made_outside_whose_item_waits_for_the_job_is_told() {
    within(60, || {
        for item_first in [false, true] {
            let (tell, told) = channel::<runspace::JobEntry>();
            let (begun, has_begun) = channel::<()>();
            let waits = Arc::new(AtomicBool::new(false));
            let call = foreach_parallel!(
                [()],
                using(
                    told = Mutex::new(told),
                    begun = Mutex::new(begun),
                    waits.clone()
                ),
                |()| {
                    let entry = told.lock().unwrap().recv().unwrap();
                    begun.lock().unwrap().send(()).unwrap();
                    waits.store(true, Ordering::SeqCst);
                    refusal(|| entry.wait()).is_some()
                }
            );
            let (go, wait) = channel::<()>();
            let job = start_thread_job!(using(call, wait), {
                wait.recv().unwrap();
                let mut call = call;
                let read = catch_unwind(AssertUnwindSafe(|| call.next()));
                let refused = read.is_err();
                drop(call); // which does not wait for an item that waits for this
                refused || read.ok().flatten() == Some(true)
            });
            let entry = jobs().get(job.id()).unwrap().clone();
            if item_first {
                tell.send(entry).unwrap();
                has_begun.recv().unwrap();
                std::thread::sleep(Duration::from_millis(20));
                go.send(()).unwrap();
            } else {
                go.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(20));
                tell.send(entry).unwrap();
            }
            assert!(job.join().unwrap());
        }
    });
}

#[test]
fn an_item_that_reads_the_call_around_its_own_is_told() {
    within(60, || {
        let (give, given) = channel::<runspace::Results<Option<String>>>();
        let (back, is_back) = channel();
        let outer = foreach_parallel!(
            [()],
            using(given = Arc::new(Mutex::new(given)), back),
            |()| {
                let told = foreach_parallel!([()], using(given.clone(), back.clone()), |()| {
                    let mut outer = given.lock().unwrap().recv().unwrap();
                    let text = refusal(|| outer.next());
                    back.send(outer).unwrap();
                    text
                });
                told.collect::<Vec<_>>().pop().flatten()
            }
        );
        give.send(outer).unwrap();
        let outer: runspace::Results<Option<String>> = is_back.recv().unwrap();
        let told: Vec<_> = outer.collect();
        assert_refused(told[0].as_ref());
    });
}

#[test]
fn three_jobs_through_a_call_and_an_invocation_are_a_ring() {
    within(60, || {
        let runspace = Runspace::open().unwrap();
        let (to_c, for_c) = channel::<runspace::JobEntry>();
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        let c = start_thread_job!(name = "c", using(for_c, count), {
            let a = for_c.recv().unwrap();
            count.fetch_add(
                usize::from(refusal(|| a.wait()).is_some()),
                Ordering::SeqCst,
            );
        });
        let count = Arc::clone(&refused);
        let b = invoke!(&runspace, using(c, count), {
            foreach_parallel!([c], using(count), |c: Job<()>| {
                count.fetch_add(
                    usize::from(refusal(|| c.wait()).is_some()),
                    Ordering::SeqCst,
                );
            })
            .wait();
        });
        let count = Arc::clone(&refused);
        let a = start_thread_job!(name = "a", using(b, count), {
            count.fetch_add(
                usize::from(refusal(|| b.wait()).is_some()),
                Ordering::SeqCst,
            );
        });
        to_c.send(jobs().get(a.id()).unwrap().clone()).unwrap();
        assert_eq!(a.wait(), JobState::Completed);
        assert_eq!(refused.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_job_that_waits_for_itself_longer_than_the_clock_goes_is_told() {
    within(60, || {
        let texts: Vec<Option<String>> = start_thread_job!(|job| {
            let me = jobs().get(job.id()).unwrap().clone();
            job.emit(refusal(|| me.wait_timeout(Duration::MAX)));
            job.emit(refusal(|| runspace::wait_all_timeout([&me], Duration::MAX)));
            job.emit(refusal(|| runspace::wait_any_timeout([&me], Duration::MAX)));
            job.emit(refusal(|| wait_all([&me])));
            job.emit(refusal(|| wait_any([&me])));
        })
        .iter()
        .collect();
        assert_eq!(texts.len(), 5);
        texts.iter().for_each(|it| assert_refused(it.as_ref()));
    });
}

// No rings.

#[test]
fn an_item_of_a_call_that_became_a_job_may_wait_for_the_job_that_made_the_call() {
    within(60, || {
        let (keep, kept) = channel::<Job<Option<JobState>>>();
        let maker = start_thread_job!(|job| {
            let id = job.id();
            let call = foreach_parallel!([id], |id| {
                let maker = jobs().get(id)?.clone();
                std::thread::sleep(Duration::from_millis(20)); // until it is a job
                Some(maker.wait())
            });
            keep.send(call.into_job()).unwrap();
            job.emit(());
        });
        let of_call = kept.recv().unwrap();
        assert_eq!(maker.wait(), JobState::Completed);
        assert_eq!(of_call.join().unwrap(), Some(JobState::Completed));
    });
}

#[test]
fn an_item_that_is_given_up_in_time_may_wait_for_whatever_it_likes() {
    within(60, || {
        let job = start_thread_job!(|job| {
            let timeout = Duration::from_millis(50);
            let id = job.id();
            let outcomes = foreach_parallel!([id], timeout = timeout, |id| {
                jobs().get(id).unwrap().clone().wait()
            })
            .outcomes();
            job.emit(outcomes.filter(Result::is_err).count());
        });
        assert_eq!(job.join().unwrap(), 1);
    });
}

#[test]
fn bodies_of_a_pool_that_grows_may_wait_for_each_other() {
    within(60, || {
        let pool = pool(1);
        let (tell, told) = channel::<Job<u32>>();
        let inside = pool.clone();
        let outer = invoke!(&pool, using(told, inside), {
            let job = told.recv().unwrap();
            inside.set_max(2).unwrap();
            job.join().unwrap()
        });
        let job = start_thread_job!(using(pool.clone()), {
            invoke!(&pool, { 3 }).end().unwrap()
        });
        tell.send(job).unwrap();
        assert_eq!(outer.end().unwrap(), 3);
    });
}

#[test]
fn a_wait_of_a_job_that_has_ended_is_refused_to_nobody() {
    within(60, || {
        let queue = JobQueue::new(1);
        for _ in 0..50 {
            let (tell, told) = channel::<runspace::JobEntry>();
            // It ends while its call goes on, whose item then waits for it.
            let maker = start_thread_job!(queue = &queue, using(told), {
                foreach_parallel!([()], using(told = Mutex::new(told)), |()| {
                    told.lock().unwrap().recv().unwrap().wait()
                })
            });
            let entry = jobs().get(maker.id()).unwrap().clone();
            let results = maker.join().unwrap();
            tell.send(entry).unwrap();
            assert_eq!(results.collect::<Vec<_>>(), [JobState::Completed]);
        }
    });
}

/// Waits that cross at random: each ends, with a value or in words.
#[test]
fn waits_that_cross_at_random_all_end() {
    within(120, || {
        for round in 0..30u64 {
            let queue = JobQueue::new(1 + (round % 3) as usize);
            let (runspace, pool) = (Runspace::open().unwrap(), pool(1 + (round % 2) as usize));
            let all: Vec<Job<usize>> = (0..6u64)
                .map(|n| {
                    let (queue, inner) = (queue.clone(), queue.clone());
                    let (runspace, pool) = (runspace.clone(), pool.clone());
                    start_thread_job!(queue = &queue, using(inner, runspace, pool, n, round), {
                        down(3, n * 7 + round, &inner, &runspace, &pool)
                    })
                })
                .collect();
            for job in all {
                match job.join() {
                    Ok(_) => {}
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains("never end"), "{text}");
                        assert!(matches!(
                            error.kind(),
                            JobErrorKind::Panicked(_) | JobErrorKind::Deadlock(_)
                        ));
                    }
                }
            }
            pool.close();
            runspace.close();
            until(|| (queue.running(), queue.queued()) == (0, 0));
        }
    });
}

fn down(
    depth: u32,
    seed: u64,
    queue: &JobQueue,
    runspace: &Runspace,
    pool: &RunspacePool,
) -> usize {
    if depth == 0 {
        return 1;
    }
    let (queue, inner, runspace, pool) =
        (queue.clone(), queue.clone(), runspace.clone(), pool.clone());
    let next = seed / 5 + u64::from(depth);
    let go = move |queue: &JobQueue, runspace: &Runspace, pool: &RunspacePool| {
        down(depth - 1, next, queue, runspace, pool)
    };
    match seed % 5 {
        0 => start_thread_job!(queue = &queue, using(inner, runspace, pool, go), {
            go(&inner, &runspace, &pool)
        })
        .join()
        .unwrap(),
        1 => {
            let on = pool.clone();
            invoke!(&on, using(queue, runspace, pool, go), {
                go(&queue, &runspace, &pool)
            })
            .end()
            .unwrap()
        }
        2 => {
            // A ring, where the runspace is already on the way.
            let on = runspace.clone();
            let invocation = invoke!(&on, using(queue, runspace, pool, go), {
                go(&queue, &runspace, &pool)
            });
            invocation.end().unwrap()
        }
        3 => foreach_parallel!(0..2, throttle = 2, using(queue, runspace, pool, go), |_| {
            go(&queue, &runspace, &pool)
        })
        .sum(),
        _ => {
            let on = pool.clone();
            let call = foreach_parallel!(
                0..2,
                on = pool(&on),
                using(queue, runspace, pool, go),
                |_| go(&queue, &runspace, &pool)
            );
            let job = call.into_job();
            job.wait();
            job.receive().into_iter().sum()
        }
    }
}
