//! When the system gives fewer threads than the throttle asks for, a call runs on those it has;
//! with none it fails in words. Nothing hangs either way.

#![cfg(target_os = "linux")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runspace::{Cause, foreach_parallel};
use support::with_few_threads;

/// The test runs in a process that has address space for a few thread stacks only.
#[test]
fn a_call_runs_on_the_threads_that_there_are() {
    with_few_threads(
        "a_call_runs_on_the_threads_that_there_are",
        120,
        few_threads,
    );
}

fn few_threads() {
    let now = AtomicUsize::new(0);
    let most = AtomicUsize::new(0);
    let outcomes = foreach_parallel!(0..200, throttle = 64, using(&now, &most), |n| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        now.fetch_sub(1, Ordering::SeqCst);
        n
    })
    .outcomes();
    assert_eq!(outcomes.filter(Result::is_ok).count(), 200);
    let most = most.into_inner();
    assert!((1..64).contains(&most), "{most}");

    // Calls that hold their threads, until there is none for another.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let held: Vec<_> = (0..20)
        .map(|_| {
            foreach_parallel!(0..4, throttle = 4, using(wait.clone()), |_n| {
                let _ = wait.lock().unwrap().recv();
            })
        })
        .collect();
    let failed: Vec<_> = foreach_parallel!(0..3, |n| n).outcomes().collect();
    let causes: Vec<_> = failed.iter().filter_map(|it| it.as_ref().err()).collect();
    let refused = causes
        .iter()
        .find(|it| matches!(it.cause(), Cause::NoThread(_)));
    let refused = refused.expect("a call without threads says so");
    assert!(refused.to_string().contains("no thread"), "{refused}");
    drop(go);
    for results in held {
        // Some of them had no thread either: they end all the same.
        assert!(results.outcomes().count() <= 5);
    }
    assert_eq!(foreach_parallel!(0..3, |n| n).sum::<i32>(), 3);
}
