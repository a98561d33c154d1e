//! Stages of both kinds, in every place.
#![deny(warnings)]

use std::collections::BTreeSet;
use std::num::ParseIntError;

use runspace::{Results, foreach_parallel, pipeline};

macro_rules! passed_on {
    ($source:expr, $stage:expr) => {
        pipeline!($source | $stage | sum::<i32>())
    };
}

fn numbers() -> Result<Vec<i32>, ParseIntError> {
    let numbers = pipeline!(
        ["1", "2", "3"]
            | foreach_parallel(throttle = 2, ordered = true, |text| text.parse::<i32>())
            | map(|number| number.map(|n| n * 2))
            | collect::<Result<Vec<i32>, _>>()?
    );
    Ok(numbers)
}

fn main() {
    assert_eq!(numbers().unwrap(), [2, 4, 6]);

    // Sources of all kinds.
    let list = vec![3, 1, 2];
    let odd: Vec<&i32> = pipeline!(&list | filter(|n| *n % 2 == 1) | collect());
    assert_eq!(odd, [&3, &1]);
    let (a, b) = (BTreeSet::from([1]), BTreeSet::from([2]));
    assert_eq!(pipeline!((&a | &b) | sum::<i32>()), 3);
    assert_eq!(pipeline!(0..4 | take(2) | count()), 2);
    assert_eq!(pipeline!(list.iter().map(|n| n | 4) | max()), Some(7));
    let lent = pipeline!(&list | foreach_parallel(|n| *n + 1) | sum::<i32>());
    assert_eq!(lent, 9);

    // The first stage may lend, and any stage in a scope.
    let offset = 10;
    let sum: i32 = pipeline!(&list | foreach_parallel(using(&offset), |n| n + offset) | sum());
    assert_eq!(sum, 36);
    let sum: i32 = runspace::scope(|scope| {
        pipeline!(
            &list
                | foreach_parallel(within = scope, |n| n + 1)
                | foreach_parallel(within = scope, using(&offset), |n| n + offset)
                | sum()
        )
    });
    assert_eq!(sum, 39);

    // Parallel stages follow each other, with their own options and captures.
    let (prefix, suffix) = (String::from("<"), String::from(">"));
    let words: Vec<String> = pipeline!(
        1..=3
            | foreach_parallel(
                ordered = true,
                init(scratch = String::new()),
                using(prefix.clone()),
                |n: u32| {
                    scratch.clear();
                    scratch.push_str(&prefix);
                    format!("{scratch}{n}")
                }
            )
            | enumerate()
            | filter(|(at, _)| *at != 1)
            | foreach_parallel(ordered = true, on = rayon, using(suffix), |(at, word)| {
                format!("{at}{word}{suffix}")
            })
            | collect()
    );
    assert_eq!(words, ["0<1>", "2<3>"]);

    // The value is that of the last stage.
    let results: Results<i32> = pipeline!(0..2 | map(|n| n + 1) | foreach_parallel(|n| n));
    assert_eq!(results.sum::<i32>(), 3);
    let emitted: Vec<u32> = pipeline!(
        [2, 3]
            | foreach_parallel(ordered = true, |n, job| {
                (0..n).for_each(|i| job.emit(i));
            })
            | collect()
    );
    assert_eq!(emitted, [0, 1, 0, 1, 2]);
    pipeline!(0..2 | foreach_parallel(|_| {}));
    let failed = pipeline!(
        0..2 | foreach_parallel(|n| assert!(n < 9)).outcomes() | filter(|o| o.is_err()) | count()
    );
    assert_eq!(failed, 0);

    // It is read as it is consumed.
    let first: Vec<u64> = pipeline!(
        (0..)
            | foreach_parallel(throttle = 2, ordered = true, |n| n * n)
            | foreach_parallel(throttle = 2, ordered = true, |n| n + 1)
            | take(3)
            | collect()
    );
    assert_eq!(first, [1, 2, 5]);

    // Beside other calls, and inside of them.
    let nested: u32 = foreach_parallel!(1..=2, |n: u32| pipeline!(
        0..n | foreach_parallel(|m| m + 1) | sum::<u32>()
    ))
    .sum();
    assert_eq!(nested, 4);
    let n = 1;
    assert_eq!(passed_on!(0..3, foreach_parallel(using(n), |m| m + n)), 6);
}
