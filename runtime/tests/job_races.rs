//! Starts, stops, ends, waits and drops that meet: each job comes to one end, and nobody hangs.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use runspace::{Job, JobErrorKind, JobQueue, JobState, jobs, start_thread_job, wait_any};
use support::within;

#[test]
fn a_stop_that_meets_the_start_or_the_end() {
    within(120, || {
        let mut seen = [0u32; 2];
        for round in 0..3_000u32 {
            let queue = JobQueue::new(1);
            let ran = Arc::new(AtomicUsize::new(0));
            let job = start_thread_job!(queue = &queue, using(ran.clone()), {
                ran.fetch_add(1, Ordering::SeqCst);
            });
            (0..round % 64).for_each(|_| std::hint::spin_loop());
            job.stop();
            let state = job.wait();
            let times = ran.load(Ordering::SeqCst);
            match state {
                JobState::Completed => assert_eq!(times, 1),
                JobState::Stopped => assert!(times <= 1),
                other => panic!("{other}"),
            }
            assert_eq!(Arc::strong_count(&ran), 1);
            assert_eq!(job.state(), state);
            assert_eq!((queue.running(), queue.queued()), (0, 0));
            seen[times] += 1;
        }
        println!("{} never ran, {} ran", seen[0], seen[1]);
    });
}

#[test]
fn two_stops_and_a_drop_that_meet_in_the_queue() {
    within(120, || {
        for _ in 0..500 {
            let queue = JobQueue::new(1);
            let ran = Arc::new(AtomicUsize::new(0));
            let all: Vec<_> = (0..8)
                .map(|_| {
                    start_thread_job!(queue = &queue, using(ran.clone()), {
                        ran.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            let entries: Vec<_> = all
                .iter()
                .map(|it| jobs().get(it.id()).unwrap().clone())
                .collect();
            std::thread::scope(|scope| {
                scope.spawn(|| entries.iter().for_each(|it| it.stop()));
                scope.spawn(|| entries.iter().rev().for_each(|it| it.stop()));
                scope.spawn(move || drop(all));
            });
            let ended = entries.iter().map(|it| it.wait());
            let completed = ended.filter(|it| *it == JobState::Completed).count();
            assert!(completed <= ran.load(Ordering::SeqCst));
            assert!(entries.iter().all(|it| jobs().get(it.id()).is_none()));
            assert_eq!((queue.running(), queue.queued()), (0, 0));
        }
    });
}

#[test]
fn any_sees_each_end_once() {
    within(120, || {
        for _ in 0..100 {
            let queue = JobQueue::new(3);
            let mut left: Vec<_> = (0..12u32)
                .map(|n| start_thread_job!(queue = &queue, using(n), { n }))
                .collect();
            let mut sum = 0;
            while let Some(place) = wait_any(&left) {
                sum += left.swap_remove(place).join().unwrap();
            }
            assert_eq!(sum, 66);
        }
    });
}

/// What a job of a random tree does.
#[derive(Clone, Debug)]
enum Plan {
    Work(u8),
    Panic,
    /// Starts these, and waits for each in this way.
    Parts(Vec<(Plan, How)>),
}

#[derive(Clone, Copy, Debug)]
enum How {
    Join,
    Wait,
    Limited,
    Iter,
    Any,
    Stop,
    Drop,
}

fn plan() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![4 => any::<u8>().prop_map(Plan::Work), 1 => Just(Plan::Panic)];
    let how = prop_oneof![
        4 => Just(How::Join),
        1 => Just(How::Wait),
        1 => Just(How::Limited),
        1 => Just(How::Iter),
        1 => Just(How::Any),
        1 => Just(How::Stop),
        1 => Just(How::Drop),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop::collection::vec((inner, how.clone()), 0..4).prop_map(Plan::Parts)
    })
}

fn run(plan: Plan, queues: Arc<[JobQueue; 2]>, depth: usize) -> Job<u32> {
    let queue = queues[depth % 2].clone();
    start_thread_job!(queue = &queue, using(plan, queues, depth), {
        match plan {
            Plan::Work(spins) => {
                (0..spins).for_each(|_| std::thread::yield_now());
                1
            }
            Plan::Panic => std::panic::resume_unwind(Box::new(7u8)),
            Plan::Parts(parts) => {
                let started = parts.into_iter().map(|(plan, how)| {
                    let depth = depth + usize::from(matches!(how, How::Wait | How::Any));
                    (run(plan, Arc::clone(&queues), depth), how)
                });
                let started: Vec<_> = started.collect();
                started
                    .into_iter()
                    .map(|(job, how)| 1 + value(job, how))
                    .sum()
            }
        }
    })
}

fn value(job: Job<u32>, how: How) -> u32 {
    match how {
        How::Join => {}
        How::Wait => assert!(job.wait().is_finished()),
        How::Limited => {
            let _ = job.wait_timeout(Duration::from_micros(50));
        }
        How::Iter => {
            let all = std::panic::AssertUnwindSafe(|| job.iter().sum::<u32>());
            return std::panic::catch_unwind(all).unwrap_or(0);
        }
        How::Any => assert_eq!(wait_any([&job]), Some(0)),
        How::Stop => job.stop(),
        How::Drop => return 0,
    }
    match job.join() {
        Ok(value) => value,
        Err(error) => match error.kind() {
            JobErrorKind::Panicked(_) | JobErrorKind::Stopped => 0,
            other => panic!("{other}"),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a tree of jobs does, its root comes to an end and every place comes home.
    #[test]
    fn a_tree_of_jobs_comes_to_its_end(plan in plan(), red in 1usize..3, blue in 1usize..3) {
        within(60, move || {
            let queues = Arc::new([JobQueue::new(red), JobQueue::new(blue)]);
            let root = run(plan, Arc::clone(&queues), 0);
            assert!(root.wait().is_finished());
            for queue in queues.iter() {
                support::until(|| (queue.running(), queue.queued()) == (0, 0));
            }
        });
    }
}
