//! A job that waits for a job lends it its place: no nesting can stand still, and at most the
//! throttle run.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use runspace::{Job, JobErrorKind, JobQueue, JobState, jobs, start_thread_job, wait_all, wait_any};
use support::{throughout, until, within};

#[test]
fn every_kind_of_wait_lends_the_place() {
    type Wait = fn(Job<u32>) -> u32;
    let ways: [(&str, Wait); 8] = [
        ("join", |job| job.join().unwrap()),
        ("wait", |job| {
            job.wait();
            job.receive()[0]
        }),
        ("wait_timeout", |job| {
            while job.wait_timeout(Duration::from_millis(5)).is_none() {}
            job.receive()[0]
        }),
        ("iter", |job| job.iter().sum()),
        ("wait_all", |job| {
            wait_all([&job]);
            job.receive()[0]
        }),
        ("wait_any", |job| {
            assert_eq!(wait_any([&job]), Some(0));
            job.receive()[0]
        }),
        ("wait_any_timeout", |job| {
            while runspace::wait_any_timeout([&job], Duration::from_millis(5)).is_none() {}
            job.receive()[0]
        }),
        ("entry", |job| {
            jobs().get(job.id()).unwrap().wait();
            job.receive()[0]
        }),
    ];
    for (name, way) in ways {
        within(60, move || {
            let queue = JobQueue::new(1);
            let inner = queue.clone();
            let outer = start_thread_job!(name = name, queue = &queue, using(inner, way), {
                way(start_thread_job!(queue = &inner, { 41 })) + 1
            });
            assert_eq!(outer.join().unwrap(), 42, "{name}");
            assert_eq!((queue.running(), queue.queued()), (0, 0), "{name}");
        });
    }
}

fn nest(queue: &JobQueue, depth: u32) -> Job<u32> {
    let inner = queue.clone();
    start_thread_job!(queue = queue, using(inner, depth), {
        match depth {
            0 => 0,
            _ => nest(&inner, depth - 1).join().unwrap() + 1,
        }
    })
}

#[test]
fn fifty_deep_with_a_throttle_of_one() {
    within(60, || {
        assert_eq!(nest(&JobQueue::new(1), 50).join().unwrap(), 50)
    });
}

#[test]
fn many_nests_in_one_queue() {
    within(120, || {
        for throttle in 1..4 {
            let queue = JobQueue::new(throttle);
            let all: Vec<_> = (0..20).map(|n| nest(&queue, n % 5)).collect();
            for (n, job) in (0..).zip(all) {
                assert_eq!(job.join().unwrap(), n % 5);
            }
            assert_eq!((queue.running(), queue.queued()), (0, 0));
        }
    });
}

/// Counts the jobs that work, waiting ones left out.
#[derive(Clone, Default)]
struct Working(Arc<AtomicIsize>, Arc<AtomicIsize>);

impl Working {
    fn enter(&self) {
        let now = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.1.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tree(queue: &JobQueue, working: &Working, depth: u32) -> Job<u32> {
    let (inner, working) = (queue.clone(), working.clone());
    start_thread_job!(queue = queue, using(inner, working, depth), {
        working.enter();
        std::thread::sleep(Duration::from_micros(200));
        let parts: Vec<_> = match depth {
            0 => Vec::new(),
            _ => (0..3).map(|_| tree(&inner, &working, depth - 1)).collect(),
        };
        let mut sum = 1;
        for part in parts {
            working.leave();
            let value = part.join();
            working.enter();
            sum += value.unwrap();
        }
        working.leave();
        sum
    })
}

#[test]
fn lent_places_keep_to_the_throttle() {
    within(120, || {
        for throttle in 1..5 {
            let queue = JobQueue::new(throttle);
            let working = Working::default();
            assert_eq!(tree(&queue, &working, 4).join().unwrap(), 121);
            let most = working.1.load(Ordering::SeqCst);
            assert!(
                most <= throttle as isize,
                "{most} at once with a throttle of {throttle}"
            );
        }
    });
}

#[test]
fn a_stranger_does_not_get_the_place() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let (ready, is_ready) = channel();
        let (go, wait) = channel::<()>();
        let outer = start_thread_job!(queue = &queue, using(inner, ready, wait), {
            ready.send(()).unwrap();
            wait.recv().unwrap();
            let (go, wait) = channel::<()>();
            let part = start_thread_job!(queue = &inner, using(wait), { wait.recv().is_ok() });
            ready.send(()).unwrap();
            // Not seen as a wait for a job, so the place is in use here.
            let watcher = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                go.send(()).unwrap();
            });
            let answer = part.join().unwrap();
            watcher.join().unwrap();
            answer
        });
        is_ready.recv().unwrap();
        let stranger = start_thread_job!(queue = &queue, {});
        go.send(()).unwrap();
        is_ready.recv().unwrap();
        until(|| stranger.state() != JobState::NotStarted || outer.state().is_finished());
        assert!(
            outer.state().is_finished(),
            "the stranger ran while the outer job waited"
        );
        assert!(outer.join().unwrap());
        stranger.wait();
    });
}

#[test]
fn a_lock_held_over_a_wait_does_no_harm() {
    within(60, || {
        let queue = JobQueue::new(2);
        let lock = Arc::new(Mutex::new(0));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let inner = queue.clone();
                start_thread_job!(queue = &queue, using(lock.clone(), inner), {
                    let mut sum = lock.lock().unwrap();
                    *sum += start_thread_job!(queue = &inner, { 1 }).join().unwrap();
                })
            })
            .collect();
        wait_all(&all);
        assert_eq!(*lock.lock().unwrap(), 50);
    });
}

/// Two queues of one place each, and waits that cross between them.
#[test]
fn a_chain_through_two_queues_goes_on() {
    within(60, || {
        let (red, blue) = (JobQueue::new(1), JobQueue::new(1));
        fn zigzag(here: &JobQueue, there: &JobQueue, depth: u32) -> Job<u32> {
            let (next, back) = (there.clone(), here.clone());
            start_thread_job!(queue = here, using(next, back, depth), {
                match depth {
                    0 => 0,
                    _ => zigzag(&next, &back, depth - 1).join().unwrap() + 1,
                }
            })
        }
        assert_eq!(zigzag(&red, &blue, 30).join().unwrap(), 30);
    });
}

/// Each of two jobs waits for one that stands behind the other.
#[test]
fn two_queues_full_of_jobs_that_wait_for_each_others_queue_go_on() {
    within(60, || {
        let (red, blue) = (JobQueue::new(1), JobQueue::new(1));
        let meet = Arc::new(std::sync::Barrier::new(2));
        let cross = |here: &JobQueue, there: &JobQueue| {
            let (meet, there) = (meet.clone(), there.clone());
            start_thread_job!(queue = here, using(meet, there), {
                meet.wait();
                start_thread_job!(queue = &there, { 1 }).join().unwrap()
            })
        };
        let (one, two) = (cross(&red, &blue), cross(&blue, &red));
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 2);
    });
}

#[test]
fn a_wait_with_a_limit_leaves_one_more_running_and_then_none() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let (tell, told) = channel();
        let (go, wait) = channel::<()>();
        let (end, ended) = channel::<()>();
        let outer = start_thread_job!(queue = &queue, using(inner, tell, wait, ended), {
            let part = start_thread_job!(queue = &inner, using(wait), { wait.recv().is_ok() });
            assert_eq!(part.wait_timeout(Duration::from_millis(20)), None);
            tell.send(part).unwrap();
            ended.recv().unwrap();
        });
        let part = told.recv().unwrap();
        let next = start_thread_job!(queue = &queue, {});
        assert_eq!(part.state(), JobState::Running);
        assert_eq!(queue.running(), 2);
        go.send(()).unwrap();
        assert!(part.join().unwrap());
        let waits = || next.state() == JobState::NotStarted && queue.running() == 1;
        assert!(throughout(Duration::from_millis(50), waits), "{queue:?}");
        end.send(()).unwrap();
        outer.join().unwrap();
        next.join().unwrap();
    });
}

/// A job that asks many queued jobs for a moment each must not set them all going.
#[test]
fn short_waits_do_not_let_everything_in() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), {
            let (go, wait) = channel::<()>();
            let wait = Arc::new(Mutex::new(wait));
            let parts: Vec<_> = (0..20)
                .map(|_| {
                    start_thread_job!(queue = &inner, using(wait.clone()), {
                        let _ = wait.lock().unwrap().recv();
                    })
                })
                .collect();
            for part in &parts {
                assert_eq!(part.wait_timeout(Duration::from_millis(1)), None);
            }
            let running = inner.running();
            drop(go);
            wait_all(&parts);
            running
        });
        assert_eq!(outer.join().unwrap(), 2);
    });
}

#[test]
fn outputs_of_a_lent_job_are_seen_as_they_come() {
    within(60, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), |job| {
            let (go, wait) = channel::<()>();
            let part = start_thread_job!(queue = &inner, using(wait), |job| {
                for n in 1..=3 {
                    job.emit(n);
                    wait.recv().unwrap();
                }
            });
            for n in part.iter() {
                job.emit(n);
                go.send(()).unwrap();
            }
        });
        assert_eq!(outer.iter().collect::<Vec<_>>(), [1, 2, 3]);
    });
}

#[test]
fn a_wait_for_very_many_jobs_from_a_job() {
    within(120, || {
        let queue = JobQueue::new(1);
        let inner = queue.clone();
        let outer = start_thread_job!(queue = &queue, using(inner), {
            let (go, wait) = channel::<()>();
            let parts: Vec<_> = (0..100_000u64)
                .map(|n| start_thread_job!(queue = &inner, using(n), { n }))
                .collect();
            // The first of the list ends last.
            let last = start_thread_job!(using(wait), { wait.recv().is_ok() });
            let watch = parts[99_999].id();
            let watcher = std::thread::spawn(move || {
                jobs().get(watch).unwrap().wait();
                go.send(()).unwrap();
            });
            let mut all: Vec<&dyn runspace::AnyJob> = vec![&last];
            all.extend(parts.iter().map(|it| it as &dyn runspace::AnyJob));
            wait_all(all);
            watcher.join().unwrap();
            parts.into_iter().map(|it| it.join().unwrap()).sum::<u64>()
        });
        assert_eq!(outer.join().unwrap(), 99_999 * 100_000 / 2);
    });
}

fn message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(_) => "not a text".to_owned(),
    }
}

#[test]
fn a_job_that_waits_for_itself_is_told() {
    within(60, || {
        let job = start_thread_job!(name = "narcissus", |job| {
            let own = jobs().get(job.id()).unwrap().clone();
            assert_eq!(
                own.wait_timeout(Duration::from_millis(5)),
                None,
                "this one ends"
            );
            let caught = catch_unwind(AssertUnwindSafe(|| own.wait()));
            job.emit(message(caught.unwrap_err()));
        });
        let text = job.join().unwrap();
        assert!(
            text.starts_with("job `narcissus` waits for itself"),
            "{text}"
        );
        assert!(text.ends_with("would never end"), "{text}");
    });
}

#[test]
fn a_job_that_reads_its_own_outputs_is_told() {
    within(60, || {
        let (give, take) = channel::<Job<u32>>();
        let (tell, told) = channel();
        let job = start_thread_job!(name = "echo", using(take, tell), {
            let own = take.recv().unwrap();
            let caught = catch_unwind(AssertUnwindSafe(|| own.iter().next()));
            tell.send(message(caught.unwrap_err())).unwrap();
            0
        });
        give.send(job).unwrap();
        let text = told.recv().unwrap();
        assert!(text.starts_with("job `echo` waits for itself"), "{text}");
        assert!(text.ends_with("would never end"), "{text}");
    });
}

/// Jobs that wait for the next one round a ring of `size`; what each was told.
fn ring(size: usize) -> Vec<String> {
    let queue = JobQueue::new(size);
    let meet = Arc::new(std::sync::Barrier::new(size));
    let ids = Arc::new(OnceLock::new());
    let ring: Vec<_> = (0..size)
        .map(|n| {
            let name = format!("ring{n}");
            start_thread_job!(
                name = name,
                queue = &queue,
                using(meet.clone(), ids.clone(), n),
                {
                    meet.wait();
                    let ids: &Vec<u64> = ids.wait();
                    let next = jobs().get(ids[(n + 1) % ids.len()]).unwrap().clone();
                    match catch_unwind(AssertUnwindSafe(|| next.wait())) {
                        Ok(_) => String::new(),
                        Err(payload) => message(payload),
                    }
                }
            )
        })
        .collect();
    ids.set(ring.iter().map(Job::id).collect()).unwrap();
    ring.into_iter().map(|it| it.join().unwrap()).collect()
}

#[test]
fn a_ring_of_jobs_is_told_to_one_of_them() {
    within(60, || {
        for size in 2..6 {
            let told: Vec<_> = ring(size).into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(told.len(), 1, "{told:?}");
            for n in 0..size {
                assert!(told[0].contains(&format!("`ring{n}`")), "{told:?}");
            }
        }
    });
}

#[test]
fn a_join_in_a_ring_answers_an_error() {
    within(60, || {
        let (send, receive) = channel::<Job<()>>();
        let job = start_thread_job!(name = "knot", using(receive), {
            let own = receive.recv().unwrap();
            let error = own.join().unwrap_err();
            assert!(matches!(error.kind(), JobErrorKind::Deadlock(_)), "{error}");
            assert!(error.to_string().contains("waits for itself"), "{error}");
        });
        let entry = jobs().get(job.id()).unwrap().clone();
        send.send(job).unwrap();
        assert_eq!(entry.wait(), JobState::Completed);
    });
}

#[test]
fn waiting_for_any_is_no_ring_while_one_can_end() {
    within(60, || {
        let queue = JobQueue::new(3);
        let (go, wait) = channel::<()>();
        let free = start_thread_job!(queue = &queue, using(wait), { wait.recv().is_ok() });
        let free_id = free.id();
        let (tell, told) = channel::<u64>();
        let first = start_thread_job!(queue = &queue, using(told, free_id), {
            let second = told.recv().unwrap();
            let second = jobs().get(second).unwrap().clone();
            let free = jobs().get(free_id).unwrap().clone();
            wait_any([&second, &free])
        });
        let first_id = first.id();
        let second = start_thread_job!(queue = &queue, using(first_id), {
            jobs().get(first_id).unwrap().wait()
        });
        tell.send(second.id()).unwrap();
        until(|| queue.running() == 1);
        go.send(()).unwrap();
        assert_eq!(first.wait(), JobState::Completed);
        assert_eq!(first.receive(), [Some(1)]);
        assert_eq!(second.join().unwrap(), JobState::Completed);
        assert!(free.join().unwrap());
    });
}

#[test]
fn a_wait_with_a_limit_is_part_of_no_ring() {
    within(60, || {
        let queue = JobQueue::new(2);
        let (tell, told) = channel::<u64>();
        let first = start_thread_job!(queue = &queue, using(told), {
            let second = told.recv().unwrap();
            let second = jobs().get(second).unwrap().clone();
            second.wait_timeout(Duration::from_millis(200))
        });
        let entry = jobs().get(first.id()).unwrap().clone();
        let watched = queue.clone();
        let second = start_thread_job!(queue = &queue, using(entry, watched), {
            until(|| watched.running() == 1); // the first one waits
            entry.wait()
        });
        tell.send(second.id()).unwrap();
        assert_eq!(first.join().unwrap(), None);
        assert_eq!(second.join().unwrap(), JobState::Completed);
    });
}

/// The reader has an output to read when the writer starts to wait for it, so it will get on.
#[test]
fn reading_from_a_job_that_waits_for_its_reader_is_no_ring() {
    within(60, || {
        for _ in 0..200 {
            let queue = JobQueue::new(2);
            let inner = queue.clone();
            let reader = start_thread_job!(queue = &queue, using(inner), |job| {
                let reader = job.id();
                let writer = start_thread_job!(queue = &inner, using(reader), |job| {
                    job.emit(1);
                    if let Some(reader) = jobs().get(reader) {
                        reader.wait();
                    }
                    job.emit(2);
                });
                let first = writer.iter().next().unwrap();
                job.emit((first, writer));
            });
            let (first, writer) = reader.join().unwrap();
            assert_eq!(first, 1);
            assert_eq!(writer.join().unwrap(), 2);
        }
    });
}
