//! Values that do not cross to another process, and what is printed there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use runspace::{ItemError, Job, JobState, foreach_parallel, start_job};

use crate::common::{assert_has, pair, process_error, workers};
use crate::stage::{Row, again, part, pool, process};
use crate::support::bodies::{Odd, assert_lines, print_lines, to_a_full_disk};
use crate::support::census::{by_index, failure_of_call};

pub const ROWS: &[Row] = &[
    Row {
        id: "A8",
        name: "argument_is_not_written",
        fault: "An item, a captured value cannot be serialised",
        outcome: "That item fails before it is sent, with the type and serde's own words; the others run. A captured value fails its job or call.",
        tests: &[process(a8_process), pool(a8_pool)],
        elsewhere: HERE,
    },
    Row {
        id: "A9",
        name: "argument_is_not_read",
        fault: "An item, a captured value cannot be read in the worker",
        outcome: "The same; the worker lives on.",
        tests: &[process(a9_process), pool(a9_pool)],
        elsewhere: HERE,
    },
    Row {
        id: "A10",
        name: "result_does_not_cross",
        fault: "A result cannot be serialised in the worker, or read back here",
        outcome: "That item or job fails, with the type and serde's own words; the worker lives on.",
        tests: &[process(a10_process), pool(a10_pool)],
        elsewhere: HERE,
    },
    Row {
        id: "A13",
        name: "prints_and_closes_stdout",
        fault: "A body prints what it likes, closes its stdout, or puts a full disk there",
        outcome: "No message is corrupted. Lines are records of their job; lines of items come out whole, once each.",
        tests: &[
            process(a13_process),
            pool(a13_pool),
            pool(a13_lines).named("pool_lines"),
        ],
        elsewhere: "On threads there is no message to corrupt.",
    },
];

const HERE: &str = "On threads values stay where they are.";

fn captured(n: u8) -> Job<u8> {
    let it = Odd(n);
    start_job!(using(it), { it.0 })
}

fn answered(n: u8) -> Job<Odd> {
    start_job!(using(n), { Odd(n) })
}

fn a8_process() {
    let text = process_error(captured(3)).to_string();
    assert_has(
        &text,
        &["the captured values", "Odd", "three is not written"],
    );
    assert_eq!(captured(4).join().unwrap(), 4);
}

fn a9_process() {
    let text = process_error(captured(5)).to_string();
    assert_has(&text, &["the captured values", "Odd", "five is not read"]);
    assert_eq!(captured(4).join().unwrap(), 4);
}

fn a10_process() {
    for (n, words) in [(3, "three is not written"), (5, "five is not read")] {
        let text = process_error(answered(n)).to_string();
        assert_has(&text, &["the output", "Odd", words]);
    }
    assert_eq!(answered(4).join().unwrap(), Odd(4));
}

type Outcomes = BTreeMap<u64, Result<(u64, u32), ItemError>>;

/// Nine items, of which only `index` fails, with these words; one worker has run all the others.
fn only(all: &Outcomes, index: u64, words: &str) {
    for (n, outcome) in all {
        match outcome {
            Ok(_) => assert_ne!(*n, index),
            Err(error) => {
                assert_eq!(*n, index, "{error}");
                assert_has(&error.to_string(), &[words, "Odd"]);
            }
        }
    }
    let pids: BTreeSet<u32> = all.values().flatten().map(|it| it.1).collect();
    assert_eq!(pids.len(), 1, "{pids:?}");
}

fn items(of: impl Fn(u8) -> bool + Send + 'static) -> Outcomes {
    let pool = workers(1).build();
    let items = (0..9).map(move |n| if of(n) { Odd(n) } else { Odd(0) });
    let results = foreach_parallel!(items.enumerate(), on = process(&pool), |(n, it)| {
        let _ = it;
        (n as u64, std::process::id())
    });
    by_index(results.outcomes(), |it| it.0, 9)
}

fn call_fails(it: Odd, words: &str) {
    let pool = pair();
    let results = foreach_parallel!(0..50_u8, on = process(&pool), using(it), |n| n + it.0);
    let text = failure_of_call(results.outcomes()).to_string();
    assert_has(&text, &["the captured values", words]);
}

fn a8_pool() {
    only(&items(|n| n == 3), 3, "three is not written");
    call_fails(Odd(3), "three is not written");
}

fn a9_pool() {
    only(&items(|n| n == 5), 5, "five is not read");
    call_fails(Odd(5), "five is not read");
}

fn a10_pool() {
    for (bad, words) in [(3, "three is not written"), (5, "five is not read")] {
        let pool = workers(1).build();
        let results = foreach_parallel!(0..9_u8, on = process(&pool), using(bad), |n| {
            let odd = if n == bad { Odd(n) } else { Odd(0) };
            (u64::from(n), std::process::id(), odd)
        });
        let outcomes = results.outcomes().map(|it| it.map(|it| (it.0, it.1)));
        only(&by_index(outcomes, |it| it.0, 9), u64::from(bad), words);
    }
}

/// Closes stdout: what is opened next gets its number.
fn close_stdout() {
    #![allow(unsafe_code)]
    // SAFETY: nothing in this process counts on it from here on.
    unsafe { rustix::io::close(1) };
}

fn a13_process() {
    let job = start_job!(|job| {
        println!("one \u{1}\0");
        eprintln!("two");
        print!("three, without a line break");
        job.emit(vec![b'\n'; 3]);
    });
    assert_eq!(job.wait(), JobState::Completed);
    let records: Vec<String> = job
        .records()
        .into_iter()
        .map(|it| it.text.to_string())
        .collect();
    for line in ["one \u{1}\0", "two", "three, without a line break"] {
        assert_eq!(
            records.iter().filter(|it| *it == line).count(),
            1,
            "{records:?}"
        );
    }
    assert_eq!(job.join().unwrap(), vec![b'\n'; 3]);
    for full in [true, false] {
        let job = start_job!(using(full), {
            if full {
                to_a_full_disk()
            } else {
                close_stdout()
            }
            let _ = writeln!(std::io::stdout(), "nobody hears it");
            vec![7_u8; 100_000]
        });
        assert_eq!(job.join().unwrap().len(), 100_000);
    }
}

fn a13_pool() {
    for full in [true, false] {
        let pool = workers(1).build();
        let results = foreach_parallel!(
            0..20_u64,
            on = process(&pool),
            ordered = true,
            using(full),
            |n| {
                if n == 4 {
                    if full {
                        to_a_full_disk()
                    } else {
                        close_stdout()
                    }
                }
                let _ = writeln!(std::io::stdout(), "line {n}");
                n
            }
        );
        assert!(results.eq(0..20));
    }
}

fn a13_lines() {
    if part().is_some() {
        print_lines(&pair());
        std::process::exit(0);
    }
    assert_lines(&again("printing").output().unwrap());
}
