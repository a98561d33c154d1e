//! A call whose place is chosen at run time.
#![deny(warnings)]

use runspace::{foreach_parallel, pipeline};

const OFFSET: u32 = 1;

fn lines<T: std::fmt::Display>(prefix: &str, items: Vec<u32>, last: T) -> Vec<String> {
    let prefix = prefix.to_string();
    let mut lines: Vec<String> = foreach_parallel!(
        items,
        on = plan,
        throttle = 2,
        ordered = true,
        init(scratch = String::new()),
        using(prefix.clone()),
        |n: u32| {
            scratch.clear();
            scratch.push_str(&prefix);
            format!("{scratch}{}", n + OFFSET)
        }
    )
    .collect();
    lines.push(format!("{prefix}{last}"));
    lines
}

fn main() {
    assert_eq!(lines("#", vec![1, 2], 'x'), ["#2", "#3", "#x"]);
    let moving: u32 = foreach_parallel!([1, 2, 3], on = plan, move |n: u32| n).sum();
    assert_eq!(moving, 6);
    let pairs = vec![(1, String::from("x"))];
    let emitted: Vec<String> = foreach_parallel!(
        pairs.clone(),
        on = plan,
        using(pairs),
        |(times, text): (u32, String), job| {
            for _ in 0..=times {
                job.emit(text.clone() + &pairs[0].1);
            }
        }
    )
    .collect();
    assert_eq!(emitted, ["xx", "xx"]);
    let parsed: Result<Vec<u8>, String> = pipeline!(
        ["1", "2"].map(String::from)
            | foreach_parallel(|text| text)
            | foreach_parallel(on = plan, ordered = true, |text| {
                let number: u8 = text.parse().map_err(|_| "no number".to_string())?;
                Ok(number)
            })
            | collect()
    );
    assert_eq!(parsed.map(|it| it.len()), Ok(2));
    let nested: Vec<u32> = foreach_parallel!(0..3, on = plan, |n: u32| {
        foreach_parallel!(0..n, on = plan, using(n), |m| m * n).sum::<u32>()
    })
    .collect();
    assert_eq!(nested.iter().sum::<u32>(), 2);
}
