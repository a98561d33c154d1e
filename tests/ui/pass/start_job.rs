//! Bodies that run in another process, in all the forms of a call.
#![deny(warnings)]

use std::collections::BTreeMap;
use std::time::Duration;

use runspace::{Job, start_job};

const FACTOR: u64 = 3;

fn helper(n: u64) -> u64 {
    n * FACTOR
}

fn main() {
    let text = String::from("text");
    let counts = BTreeMap::from([("a".to_string(), 1_u8)]);
    let job: Job<u64> = start_job! { let a = helper(2); a + 1 };
    assert_eq!(job.join().unwrap(), 7);
    let job = start_job!({ helper(1) });
    assert_eq!(job.join().unwrap(), 3);
    let job = start_job!(
        name = "all",
        env = [("KEY", "value")],
        memory = 256 << 20,
        timeout = Duration::from_secs(60),
        using(text.clone(), counts, n = text.len()),
        { (text.len() + n, counts["a"]) }
    );
    assert_eq!(job.join().unwrap(), (8, 1));
    let job = start_job!(using(text), |job| {
        for letter in text.chars() {
            job.emit(letter);
        }
    });
    assert_eq!(job.iter().collect::<String>(), "text");
    let number = 5_u8;
    assert_eq!(start_job!({ $using:number + 1 }).join().unwrap(), 6);
    // `?` and `return` end the body.
    let job = start_job!(using(text = "x".to_string()), {
        if text.is_empty() {
            return Err("empty".to_string());
        }
        let n: u8 = text.parse().map_err(|_| "no number".to_string())?;
        Ok(n)
    });
    assert_eq!(job.join().unwrap(), Err("no number".to_string()));
    // The call of a function that is no job is a body in braces.
    assert!(start_job!({ std::process::id() }).join().unwrap() > 0);
    assert_eq!(start_job!(Some(1_u8)).join().unwrap(), Some(1));
    assert_eq!(start_job!(String::new()).join().unwrap(), "");
}
