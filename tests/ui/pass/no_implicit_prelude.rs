//! Where nothing is in scope that was not brought there.
#![no_implicit_prelude]

use ::runspace::{Runspace, foreach_parallel, invoke, pipeline, start_job, start_thread_job};
use ::std::iter::Iterator as _;
use ::std::{assert, assert_eq};

#[::runspace::job]
fn twice(n: u32) -> u32 {
    2 * n
}

fn main() {
    let factor = 2;
    let total: u32 = foreach_parallel!(
        0..3_u32,
        throttle = 2,
        ordered = true,
        init(sum = 0),
        using(factor),
        |n| {
            sum += n;
            n * factor
        }
    )
    .sum();
    assert_eq!(total, 6);
    let items = [1, 2];
    let lent: u32 = foreach_parallel!(&items, using(&factor), |n: &u32| n * factor).sum();
    assert_eq!(lent, 6);
    let there: u32 = foreach_parallel!(0..3_u32, on = process, using(factor), |n| n * factor).sum();
    assert_eq!(there, 6);
    let piped: u32 =
        pipeline!(0..3_u32 | foreach_parallel(|n| n) | filter(|n| *n > 0) | sum::<u32>());
    assert_eq!(piped, 3);
    let emitted = foreach_parallel!(0..3_u32, |n, job| job.emit(n));
    assert_eq!(emitted.count(), 3);
    assert!(
        start_thread_job!(using(factor), { factor == 2 })
            .join()
            .unwrap()
    );
    assert!(start_job!(using(factor), { factor == 2 }).join().unwrap());
    assert_eq!(start_job!(twice(factor)).join().unwrap(), 4);
    let runspace = Runspace::open().unwrap();
    assert_eq!(
        invoke!(&runspace, using(factor), { factor }).end().unwrap(),
        2
    );
}
