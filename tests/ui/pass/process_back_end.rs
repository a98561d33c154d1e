//! Items in other processes.
#![deny(warnings)]

use runspace::foreach_parallel;

const OFFSET: u32 = 1;

fn main() {
    let factor = 2;
    let prefix = String::from("#");
    let lines: Vec<String> = foreach_parallel!(
        1..=3,
        on = process,
        throttle = 2,
        ordered = true,
        init(scratch = String::new()),
        using(factor, prefix.clone()),
        |n: u32| {
            scratch.clear();
            scratch.push_str(&prefix);
            format!("{scratch}{}", n * factor + OFFSET)
        }
    )
    .collect();
    assert_eq!(lines, ["#3", "#5", "#7"]);
    assert_eq!(prefix, "#");
    let plain: u32 = foreach_parallel!([1, 2, 3], on = process, |n: u32| n).sum();
    assert_eq!(plain, 6);
    let moving: u32 = foreach_parallel!([1, 2, 3], on = process, move |n: u32| n).sum();
    assert_eq!(moving, 6);
    let pairs = vec![(1, String::from("x"))];
    let emitted: Vec<String> = foreach_parallel!(
        pairs.clone(),
        on = process,
        using(pairs),
        |(times, text): (u32, String), job| {
            for _ in 0..=times {
                job.emit(text.clone() + &pairs[0].1);
            }
        }
    )
    .collect();
    assert_eq!(emitted, ["xx", "xx"]);
    let parsed: Vec<Result<u8, String>> = foreach_parallel!(
        ["1", "x"].map(String::from),
        on = process,
        ordered = true,
        |text| {
            let number: u8 = text.parse().map_err(|_| "no number".to_string())?;
            Ok(number)
        }
    )
    .collect();
    assert_eq!(parsed[0], Ok(1));
}
