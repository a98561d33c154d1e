//! Where items run, in the forms of the option that need no pool.
#![deny(warnings)]

use runspace::foreach_parallel;

/// A name of the user's own, which the option does not look at.
#[allow(dead_code)]
fn rayon() {}

fn main() {
    let mut thread: Vec<u32> = foreach_parallel!(0..4, on = thread, |n: u32| n + 1).collect();
    thread.sort_unstable();
    assert_eq!(thread, [1, 2, 3, 4]);
    let on = 1;
    let global: Vec<u32> = foreach_parallel!(
        0..4,
        throttle = 2,
        on = rayon,
        ordered = true,
        using(on),
        |n: u32| { n + on }
    )
    .collect();
    assert_eq!(global, [1, 2, 3, 4]);
    let list = vec![1, 2, 3];
    let lent: u32 = foreach_parallel!(&list, on = rayon, |n| *n).sum();
    assert_eq!(lent, 6);
}
