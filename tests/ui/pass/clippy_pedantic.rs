//! A call brings no warning of clippy's either. (`cargo clippy --all-targets` sees this file too: it is
//! a target of the package for the other edition.)
#![deny(
    warnings,
    clippy::all,
    clippy::pedantic,
    trivial_casts,
    unused_qualifications
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{
    Runspace, RunspacePool, foreach_parallel, invoke, pipeline, start_job, start_thread_job,
};

#[runspace::job]
fn length(text: String, times: usize) -> usize {
    text.len() * times
}

fn double(n: usize) -> usize {
    2 * n
}

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
    foreach_parallel!(0..3, |n| double(n)).wait();
    foreach_parallel!(0..3_usize, on = process, using(a), |n: usize, job| {
        job.emit(n + a);
    })
    .wait();
    runspace::scope(|scope| {
        foreach_parallel!([&b], within = scope, using(&a), |text| text.len() + a).wait();
    });
    let doubled: Vec<usize> =
        pipeline!(0..3 | foreach_parallel(|n| double(n)) | filter(|n| *n > 0) | collect());
    assert_eq!(doubled.len(), 2);
    let job = start_thread_job!(name = "all", using(a, b.clone()), { a + b.len() });
    assert_eq!(job.join().unwrap(), 2);
    let job = start_thread_job!(|job| job.emit(1));
    assert_eq!(job.join().unwrap(), 1);
    let job = start_job!(name = "all", using(a, text = b.clone()), { a + text.len() });
    assert_eq!(job.join().unwrap(), 2);
    assert_eq!(start_job!(length(b, 3)).join().unwrap(), 3);
    let runspace = Runspace::open().unwrap();
    let count = invoke!(&runspace, using(a), |rs| {
        *rs.state::<usize>() += a;
        *rs.state::<usize>()
    });
    assert_eq!(count.end().unwrap(), 1);
    let pool = RunspacePool::builder().max(2).open().unwrap();
    assert_eq!(invoke!(&pool, { 1 }).end().unwrap(), 1);
}
