//! How values get into a body: moved, cloned, borrowed, under a new name; and the scope.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runspace::foreach_parallel;
use support::{until, within};

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = items.into_iter().collect();
    all.sort();
    all
}

#[test]
fn moved_cloned_and_renamed() {
    within(20, || {
        let prefix = String::from("n");
        let suffix = String::from("!");
        let all = foreach_parallel!(
            1..=3,
            using(prefix, suffix.clone(), factor = 10 + suffix.len()),
            |n: usize| format!("{prefix}{}{suffix}", n * factor)
        );
        assert_eq!(sorted(all), ["n11!", "n22!", "n33!"]);
        assert_eq!(suffix, "!");
    });
}

#[test]
fn a_move_closure_needs_no_clause() {
    within(20, || {
        let offset = 5;
        assert_eq!(
            sorted(foreach_parallel!(0..3, move |n| n + offset)),
            [5, 6, 7]
        );
        let words = ["a".to_owned(), "b".to_owned()];
        let all = foreach_parallel!(0..2, move |n: usize| words[n].len());
        assert_eq!(all.sum::<usize>(), 2);
    });
}

#[test]
fn borrowed_items_and_captures_come_back_finished() {
    within(20, || {
        let words = vec![String::from("some"), String::from("words")];
        let lengths = [4, 5];
        let all: Vec<bool> = foreach_parallel!(&words, using(&lengths), |word| {
            lengths.contains(&word.len())
        })
        .collect();
        assert_eq!(all, [true, true]);
        let seen = AtomicUsize::new(0);
        let results = foreach_parallel!(0..10, using(&seen), |_n| {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        // They are finished before they are read.
        assert_eq!(seen.load(Ordering::SeqCst), 10);
        assert_eq!(results.count(), 10);
    });
}

#[test]
fn a_borrowing_call_borrows_what_its_body_names() {
    within(20, || {
        let words = ["one", "three"];
        let extra = String::from("xx");
        let total: usize = foreach_parallel!(&words, |word| word.len() + extra.len()).sum();
        assert_eq!(total, 12);
        assert_eq!(extra, "xx");
    });
}

#[test]
fn failures_of_a_borrowing_call_are_raised_when_it_is_read() {
    within(20, || {
        let words = vec!["1", "x"];
        let results = foreach_parallel!(&words, ordered = true, |word| word.parse::<u8>().unwrap());
        let outcomes: Vec<_> = results.outcomes().collect();
        assert_eq!(*outcomes[0].as_ref().unwrap(), 1);
        assert_eq!(outcomes[1].as_ref().unwrap_err().index(), Some(1));
        let raised = catch_unwind(|| {
            foreach_parallel!(&words, |word| word.parse::<u8>().unwrap());
        });
        assert!(raised.is_err());
    });
}

#[test]
fn a_scope_streams_and_borrows() {
    within(20, || {
        let words: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let seen = AtomicUsize::new(0);
        let total: usize = runspace::scope(|s| {
            let lengths =
                foreach_parallel!(&words, within = s, throttle = 3, using(&seen), |word| {
                    seen.fetch_add(1, Ordering::SeqCst);
                    word.len()
                });
            lengths.sum()
        });
        assert_eq!(total, 10 + 180 + 2700);
        assert_eq!(seen.into_inner(), 1000);
    });
}

#[test]
fn results_may_borrow_from_outside_the_scope_and_leave_it() {
    within(20, || {
        let text = String::from("a bc def");
        let longest = runspace::scope(|s| {
            foreach_parallel!(text.split(' '), within = s, |word| word).max_by_key(|it| it.len())
        });
        assert_eq!(longest, Some("def"));
    });
}

#[test]
fn the_end_of_a_scope_stops_what_streams() {
    within(30, || {
        let running = AtomicUsize::new(0);
        let escaped = runspace::scope(|s| {
            let mut results = foreach_parallel!(0.., within = s, using(&running), |n| {
                running.fetch_add(1, Ordering::SeqCst);
                while n > 0 && !runspace::stopping() {
                    std::thread::yield_now();
                }
                running.fetch_sub(1, Ordering::SeqCst);
                n
            });
            assert!(results.next().is_some());
            std::mem::forget(foreach_parallel!(0.., within = s, using(&running), |_n| {
                let _ = &running;
            }));
            results
        });
        assert_eq!(running.load(Ordering::SeqCst), 0);
        // What was finished when the scope ended can still be read; then the stream is over.
        assert!(escaped.count() <= 5);
    });
}

#[test]
fn a_panic_in_a_scope_ends_its_calls_first() {
    within(30, || {
        let running = AtomicUsize::new(0);
        let raised = catch_unwind(AssertUnwindSafe(|| {
            runspace::scope(|s| {
                let _results = foreach_parallel!(0.., within = s, using(&running), |_n| {
                    running.fetch_add(1, Ordering::SeqCst);
                    while !runspace::stopping() {
                        std::thread::yield_now();
                    }
                    running.fetch_sub(1, Ordering::SeqCst);
                });
                until(|| running.load(Ordering::SeqCst) > 0);
                panic!("scope");
            });
        }));
        assert_eq!(raised.unwrap_err().downcast_ref(), Some(&"scope"));
        assert_eq!(running.into_inner(), 0);
    });
}

#[test]
fn init_is_made_once_for_each_worker_and_may_change() {
    within(20, || {
        let made = Arc::new(AtomicUsize::new(0));
        let counts: Vec<usize> = foreach_parallel!(
            0..1000,
            throttle = 4,
            using(made.clone()),
            init(
                count = {
                    made.fetch_add(1, Ordering::SeqCst);
                    0
                }
            ),
            |_n| {
                count += 1;
                count
            }
        )
        .collect();
        let made = made.load(Ordering::SeqCst);
        assert!((1..=4).contains(&made), "{made}");
        // Each worker counts its own items from 1, and none is made for a worker without items.
        assert_eq!(counts.iter().filter(|it| **it == 1).count(), made);
    });
}

#[test]
fn question_marks_and_returns_stay_in_the_item() {
    within(20, || {
        let all: Vec<Result<i32, std::num::ParseIntError>> =
            foreach_parallel!(["1", "x", "0"], ordered = true, |text| {
                let n: i32 = text.parse()?;
                if n == 0 {
                    return Ok(100);
                }
                Ok(n)
            })
            .collect();
        assert!(matches!(all[..], [Ok(1), Err(_), Ok(100)]));
    });
}

#[test]
#[should_panic(expected = "`throttle = 0` would never run an item")]
fn a_throttle_of_nought_is_refused_at_run_time_too() {
    let throttle = "0".parse::<usize>().unwrap();
    foreach_parallel!(0..3, throttle = throttle, |n| n).wait();
}
