//! Calls as statements, as values, in every bracket.

use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{foreach_parallel, start_thread_job};

static SEEN: AtomicUsize = AtomicUsize::new(0);

fn see(_: i32) {
    SEEN.fetch_add(1, Ordering::Relaxed);
}

fn as_tail() -> runspace::Results<i32> {
    foreach_parallel!(0..3, |n| n)
}

fn as_tail_in_braces() -> runspace::Job<i32> {
    start_thread_job! { 1 }
}

fn main() {
    foreach_parallel!(0..3, |n| see(n));
    foreach_parallel!(0..3, |n| {
        see(n);
    });
    foreach_parallel![0..3, |n| see(n)];
    foreach_parallel! { 0..3, |n| see(n) };
    assert_eq!(SEEN.load(Ordering::Relaxed), 12);

    assert_eq!(as_tail().sum::<i32>(), 3);
    for n in foreach_parallel!(0..3, |n| n) {
        assert!(n < 3);
    }
    if let Some(n) = foreach_parallel!(0..1, |n| n).next() {
        assert_eq!(n, 0);
    }
    assert_eq!((foreach_parallel!(0..3, |n| n).count(), 1), (3, 1));
    match start_thread_job!({ 1 }).join() {
        Ok(n) => assert_eq!(n, 1),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(as_tail_in_braces().join().unwrap(), 1);
    let _ = start_thread_job! { 1 };
    assert_eq!(start_thread_job!(2 + 3).join().unwrap(), 5);
}
