#![allow(clippy::unnecessary_fold)]

use std::collections::BTreeMap;

use runspace::foreach_parallel;

struct Point {
    x: i32,
    y: i32,
    _name: &'static str,
}

fn double(n: i32) -> i32 {
    2 * n
}

fn main() {
    let sum: i32 = foreach_parallel!([(1, 2), (3, 4)], |(a, b)| a * b).sum();
    assert_eq!(sum, 14);
    let point = || Point {
        x: 1,
        y: 2,
        _name: "a",
    };
    let sum: i32 = foreach_parallel!([point()], |Point { x, y: up, .. }| x + up).sum();
    assert_eq!(sum, 3);
    let sum: i32 = foreach_parallel!(&[1, 2], |&n| n).sum();
    assert_eq!(sum, 3);
    let sum: i32 = foreach_parallel!([1, 2], |mut n| {
        n += 1;
        n
    })
    .sum();
    assert_eq!(sum, 5);
    let sum: i32 = foreach_parallel!([[1, 2, 3]], |[first, .., last]| first + last).sum();
    assert_eq!(sum, 4);
    let sum: i32 = foreach_parallel!(0..3, |_| 1).sum();
    assert_eq!(sum, 3);

    let map = BTreeMap::from([(1, 2)]);
    let sum: i32 = foreach_parallel!([map], |map: BTreeMap<i32, i32>| map[&1]).sum();
    assert_eq!(sum, 2);
    let answers: Vec<Result<i32, String>> =
        foreach_parallel!(0..1, |n: i32| -> Result<i32, String> { Ok(n) }).collect();
    assert_eq!(answers, [Ok(0)]);
    let sum: i32 = foreach_parallel!([double as fn(i32) -> i32], |f: fn(i32) -> i32| f(2)).sum();
    assert_eq!(sum, 4);
    let sum: i32 = foreach_parallel!(0..3, |#[allow(unused_variables)] n| 1).sum();
    assert_eq!(sum, 3);

    // Commas that end nothing.
    let sum: i32 = foreach_parallel!(0..3, |n| i32::max(n, 1),).sum();
    assert_eq!(sum, 4);
    let maps = foreach_parallel!(0..1, |n| BTreeMap::<i32, i32>::from([(n, n)]));
    assert_eq!(maps.count(), 1);
    let sum: i32 = foreach_parallel!(
        (0..3).map(|n| [n].into_iter().fold(0, |a, b| a + b)),
        throttle = usize::max(1, 2),
        using(two = [1, 1].into_iter().fold(0, |a, b| a + b)),
        |n| [n].into_iter().fold(two, |a, b| a + b)
    )
    .sum();
    assert_eq!(sum, 9);
}
