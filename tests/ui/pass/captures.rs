use std::sync::atomic::{AtomicI32, Ordering};

use runspace::foreach_parallel;

struct Config {
    path: String,
}

fn limit() -> Result<i32, std::num::ParseIntError> {
    let text = "5";
    Ok(foreach_parallel!(0..3, using(text.trim().parse::<i32>()?), |n| n + text).sum())
}

fn main() {
    let (a, b) = (String::from("a"), String::from("bb"));
    let config = Config {
        path: String::from("ccc"),
    };
    let mut lengths: Vec<usize> = foreach_parallel!(
        0..2,
        using(a, b.clone(), path = config.path.clone(), four = 4),
        |n: usize| n + a.len() + b.len() + path.len() + four
    )
    .collect();
    lengths.sort();
    assert_eq!(lengths, [10, 11]);
    assert_eq!((b.len(), config.path.len()), (2, 3));
    assert_eq!(limit(), Ok(18));

    // Lent: the call has ended when it answers.
    let total = AtomicI32::new(0);
    let list = vec![1, 2, 3];
    foreach_parallel!(&list, |n| total.fetch_add(*n, Ordering::Relaxed));
    foreach_parallel!(0..3, using(&total), |n| total
        .fetch_add(n, Ordering::Relaxed));
    foreach_parallel!(0..3, using(sum = &total), |n| sum
        .fetch_add(n, Ordering::Relaxed));
    assert_eq!(total.into_inner(), 12);
    let mut slots = [0, 0];
    foreach_parallel!(&mut slots, |slot| *slot = 1);
    foreach_parallel!(slots.iter_mut(), using(&list), |slot| *slot += list.len());
    assert_eq!(slots, [4, 4]);

    // Lent and streamed.
    let sum: i32 = runspace::scope(|scope| {
        let doubled = foreach_parallel!(&list, within = scope, throttle = 2, |n| n * 2);
        foreach_parallel!(doubled, within = scope, using(&list), |n| n + list[0]).sum()
    });
    assert_eq!(sum, 15);

    // A `move` closure, and one that mentions nothing but constants.
    let sum: i32 = foreach_parallel!(0..3, move |n| n + list[0]).sum();
    assert_eq!(sum, 6);
    const ONE: i32 = 1;
    static TWO: i32 = 2;
    let sum: i32 = foreach_parallel!(0..3, |n| n + ONE + TWO).sum();
    assert_eq!(sum, 12);
}
