//! A call brings no warning that is not the user's own.
#![deny(
    warnings,
    unused,
    unused_qualifications,
    future_incompatible,
    rust_2024_compatibility
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{foreach_parallel, start_thread_job};

fn main() {
    let (a, b) = (1, String::from("b"));
    let seen = AtomicUsize::new(0);
    let sum: usize = foreach_parallel!(
        0..3,
        throttle = 2,
        ordered = true,
        buffer = 4,
        name = "all",
        on = thread,
        init(read = a, written = 0),
        using(a, b.clone(), &seen, c = b.len()),
        |n| {
            written += read;
            seen.fetch_add(1, Ordering::Relaxed);
            n + a + b.len() + c
        }
    )
    .sum();
    assert_eq!((sum, seen.into_inner()), (12, 3));
    foreach_parallel!(0..3, |_| {});
    foreach_parallel!(0..3, |n| n).wait();
    let job = start_thread_job!(name = "all", using(a, b), { a + b.len() });
    assert_eq!(job.join().unwrap(), 2);
    let job = start_thread_job! { 1 };
    assert_eq!(job.join().unwrap(), 1);
}
