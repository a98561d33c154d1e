use std::num::ParseIntError;

use runspace::{foreach_parallel, start_thread_job};

fn parse(words: Vec<&'static str>) -> Result<i32, ParseIntError> {
    foreach_parallel!(words, |word| {
        if word.is_empty() {
            return Ok(0);
        }
        let number: i32 = word.parse()?;
        Ok(number)
    })
    .sum()
}

fn main() {
    assert_eq!(parse(vec!["1", "", "2"]), Ok(3));
    assert!(parse(vec!["1", "x"]).is_err());

    let answers: Vec<Option<char>> = foreach_parallel!(["ab", ""], ordered = true, |word| {
        let first = word.chars().next()?;
        Some(first)
    })
    .collect();
    assert_eq!(answers, [Some('a'), None]);

    let job = start_thread_job! {
        let number: i32 = "5".parse()?;
        if number == 5 {
            return Ok(1);
        }
        Ok::<i32, ParseIntError>(number)
    };
    assert_eq!(job.join().unwrap(), Ok(1));
}
