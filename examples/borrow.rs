//! Borrowing in place of `Arc` and clones: first all results at once, then as a stream.
//!
//! ```text
//! $ cargo run --release --example borrow
//! 1000000 numbers take 131434424 steps in all
//! 230631 takes 442 steps; found after 231275 tries
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::{foreach_parallel, scope};

fn main() {
    let numbers: Vec<u64> = (1..=1_000_000).collect();

    // `&numbers` borrows, so the call ends when every item has; nothing is cloned.
    let total: u64 = foreach_parallel!(&numbers, throttle = 4, |&number| steps(number)).sum();
    println!("{} numbers take {total} steps in all", numbers.len());

    // In a scope a call borrows and streams. A stream that is dropped early stops its call.
    let tried = AtomicUsize::new(0);
    let found = scope(|s| {
        let mut pairs = foreach_parallel!(
            &numbers,
            within = s,
            throttle = 4,
            using(&tried),
            |&number| {
                tried.fetch_add(1, Ordering::Relaxed);
                (number, steps(number))
            }
        );
        pairs.find(|&(_, steps)| steps > 400)
    });
    let tried = tried.into_inner();
    match found {
        Some((number, steps)) => {
            println!("{number} takes {steps} steps; found after {tried} tries")
        }
        None => println!("none takes more than 400 steps"),
    }
}

/// How many steps of "half, or three times and one more" lead from `number` to 1.
fn steps(number: u64) -> u64 {
    let step = |&at: &u64| (at > 1).then(|| if at % 2 == 0 { at / 2 } else { 3 * at + 1 });
    std::iter::successors(Some(number), step).count() as u64 - 1
}
