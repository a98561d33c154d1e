//! A fragment of a `macro_rules!` means in a call what it means elsewhere, wherever it stands.

#![deny(warnings)]

use std::time::Duration;

use runspace::{
    Runspace, Throttle, foreach_parallel, invoke, pipeline, start_job, start_thread_job,
};

macro_rules! all {
    ($n:expr) => {{
        let run = Runspace::open().unwrap();
        [
            // The body, with and without braces.
            foreach_parallel!([10], |x| x * $n).sum::<i32>(),
            foreach_parallel!([10], |x| { x * $n }).sum::<i32>(),
            foreach_parallel!([10], |x| i32::min(1000, x * $n)).sum(),
            foreach_parallel!([10], |x| -> i32 { x * $n }).sum(),
            foreach_parallel!([10], using(f = 10), |x| x * $n - f + 10).sum(),
            foreach_parallel!([10], |x, job| job.emit(x * $n)).sum(),
            foreach_parallel!([10], on = process, |x| x * $n).sum(),
            // Captures, state and items.
            foreach_parallel!([1], using(z = 10 * $n), |x| x * z).sum(),
            foreach_parallel!([1], init(z = 10 * $n), |x| x * z).sum(),
            foreach_parallel!([10 * $n], |x| x).sum(),
            foreach_parallel!(0..10 * $n, |_x| 1_i32).sum(),
            foreach_parallel!(0..10 * $n, throttle = 2 * $n as usize, |_x| 1_i32).sum(),
            // Jobs and invocations.
            start_thread_job!(using(z = 10 * $n), { z }).join().unwrap(),
            start_thread_job! { 10 * $n }.join().unwrap(),
            start_thread_job!(|job| { job.emit(10 * $n) })
                .join()
                .unwrap(),
            start_job! { 10 * $n }.join().unwrap(),
            start_job!(using(z = 10 * $n), { z }).join().unwrap(),
            start_job!(10 * $n).join().unwrap(),
            invoke!(&run, { 10 * $n }).end().unwrap(),
            invoke!(&run, using(z = 10 * $n), { z }).end().unwrap(),
            // Pipelines.
            pipeline!([10 * $n] | foreach_parallel(|x| x)).sum(),
            pipeline!([10] | foreach_parallel(|x| x * $n)).sum(),
            pipeline!([10] | foreach_parallel(using(z = 10 * $n), |x| x / x * z)).sum(),
            pipeline!([10] | map(|x| x * $n) | foreach_parallel(|x| x)).sum(),
            pipeline!([10] | foreach_parallel(|x| x) | map(|x| x * $n)).sum(),
            pipeline!(0..100 | foreach_parallel(|_x| 1) | take(10 * $n as usize)).sum(),
        ]
    }};
}

/// The number of items that run at once is what `$n` says.
macro_rules! options {
    ($n:expr, $b:expr) => {{
        let results = foreach_parallel!(
            0..3,
            throttle = 2 * $n,
            ordered = !$b,
            buffer = 2 * $n,
            timeout = Duration::from_secs(10) * $n,
            retry = 2 * $n,
            |x| x
        );
        let throttle = results.throttle().get();
        assert!(results.eq(0..3));
        throttle
    }};
}

macro_rules! shapes {
    ($b:block, $p:pat => $sum:expr, $t:ty, $i:ident, $l:literal, $f:path) => {
        [
            foreach_parallel!([($l, 2)], |$p| 2 * $sum).sum::<i32>(),
            foreach_parallel!([$l], |x: $t| x).sum(),
            foreach_parallel!([$l], using($i), |x: $t| x + $i).sum(),
            foreach_parallel!([$l], |x| $f(x)).sum(),
            foreach_parallel!([$l], using($i), |_x| $b).sum(),
            start_thread_job!($b).join().unwrap(),
            start_thread_job!(name = "block", $b).join().unwrap(),
            start_job!(name = "block", using($i), $b).join().unwrap(),
            start_job!(using(z = $l), { z }).join().unwrap(),
        ]
    };
}

macro_rules! on {
    ($($on:tt)*) => {
        foreach_parallel!(0..3, on = $($on)*, |x| x).sum::<i32>()
    };
}

macro_rules! on_expression {
    ($e:expr) => {
        foreach_parallel!(0..3, on = $e, |x| x).sum::<i32>()
    };
}

/// Through two macros.
macro_rules! outer {
    ($n:expr) => {
        inner!($n)
    };
}

macro_rules! inner {
    ($n:expr) => {
        foreach_parallel!([10], |x| x * $n).sum::<i32>()
    };
}

macro_rules! dollar_using {
    ($n:expr) => {{
        let f = 10;
        foreach_parallel!([10], |x| (x * $n, $using:f * $n)).map(|it| it.0 + it.1).sum::<i32>()
    }};
}

macro_rules! trait_objects {
    ($t:ty) => {
        foreach_parallel!([1_u8], |x| {
            let shown: Box<$t> = Box::new(x);
            shown.to_string().len()
        })
        .sum::<usize>()
    };
    (ref $t:ty) => {
        foreach_parallel!(["a"], |x: &$t| x.to_string().len()).sum::<usize>()
    };
}

fn double(x: i32) -> i32 {
    2 * x
}

fn main() {
    for (at, value) in all!(1 + 1).into_iter().enumerate() {
        assert_eq!(value, 20, "number {at}");
    }
    for value in all!(if true { 2 } else { 3 }) {
        assert_eq!(value, 20);
    }
    for value in all!(2_i64 as i32) {
        assert_eq!(value, 20);
    }
    for value in all!(double(1)) {
        assert_eq!(value, 20);
    }
    for value in all!([1, 2, 3][1]) {
        assert_eq!(value, 20);
    }
    let three = 3;
    assert_eq!(options!(1 + 1, three > 5 || three == 1), 4);
    let i = 2;
    assert_eq!(
        shapes!({ i }, (a, b) => a + b, i32, i, -1, double),
        [2, -1, 1, -2, 2, 2, 2, 2, -1]
    );
    assert_eq!(on!(thread), 3);
    assert_eq!(on!(process), 3);
    assert_eq!(
        on!(process(
            &runspace::ProcessPool::builder().workers(1).build()
        )),
        3
    );
    assert_eq!(on_expression!(rayon), 3);
    assert_eq!(on_expression!(process), 3);
    let pool = runspace::ProcessPool::builder().workers(1).build();
    assert_eq!(on_expression!(process(&pool)), 3);
    assert_eq!(outer!(1 + 1), 20);
    assert_eq!(dollar_using!(1 + 1), 40);
    assert_eq!(trait_objects!(dyn std::fmt::Display + Send), 1);
    assert_eq!(trait_objects!(ref str), 1);
    let throttle = Throttle::auto();
    assert_eq!(
        foreach_parallel!(0..3, throttle = throttle, |x| x).sum::<i32>(),
        3
    );
}
