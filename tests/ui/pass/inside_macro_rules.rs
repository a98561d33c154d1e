use runspace::{foreach_parallel, start_thread_job};

macro_rules! sum_of {
    ($items:expr, $item:pat => $body:expr) => {
        foreach_parallel!($items, |$item| $body).sum::<i32>()
    };
}

macro_rules! with_options {
    ($items:expr, $name:ident, $throttle:literal, $value:expr) => {
        foreach_parallel!(
            $items,
            throttle = $throttle,
            using($name, other = $value),
            |n| {
                // Not the caller's `n`.
                n + $name + other
            }
        )
        .sum::<i32>()
    };
}

macro_rules! passed_on {
    ($items:expr, $closure:expr) => {
        foreach_parallel!($items, $closure).sum::<i32>()
    };
}

macro_rules! dollars {
    ($($call:tt)*) => {
        foreach_parallel!($($call)*)
    };
}

macro_rules! job {
    ($($body:tt)*) => {
        start_thread_job! { $($body)* }
    };
}

fn main() {
    let n = 10;
    let list = vec![1, 2];
    assert_eq!(sum_of!(0..3, m => m * 2), 6);
    assert_eq!(sum_of!(vec![(1, 2)], (a, b) => a + b), 3);
    assert_eq!(sum_of!(&list, m => *m), 3);
    assert_eq!(with_options!(0..3, n, 2, n + 1), 66);
    assert_eq!(passed_on!(0..3, |m| m + 1), 6);
    assert_eq!(passed_on!(0..3, move |m| m + n), 33);
    assert_eq!(dollars!(0..3, |m| m + $using:n).sum::<i32>(), 33);
    assert_eq!(job!(let a = 1; a + n).join().unwrap(), 11);
    assert_eq!(job!(using(n), { n }).join().unwrap(), 10);
}
