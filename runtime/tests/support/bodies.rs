//! What bodies in other processes do in the tests of more than one area: values that do not cross, lines that
//! are printed, jobs in jobs.

use std::fs::File;
use std::process::Output;

use runspace::{Job, JobErrorKind, ProcessPool, foreach_parallel, start_job};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Cannot be written as 3, and not be read as 5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odd(pub u8);

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(ser::Error::custom("three is not written")),
            n => to.serialize_u8(n),
        }
    }
}

impl<'de> Deserialize<'de> for Odd {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u8::deserialize(from)? {
            5 => Err(de::Error::custom("five is not read")),
            n => Ok(Self(n)),
        }
    }
}

/// An `init(..)` that panics.
pub fn broken() -> u64 {
    panic!("no state today")
}

/// An `init(..)` that takes its process along.
pub fn leave_at_once() -> u64 {
    eprintln!("cannot begin");
    std::process::exit(7)
}

/// What is printed from here on goes to a disk that is full.
pub fn to_a_full_disk() {
    let nowhere = File::options().write(true).open("/dev/full").unwrap();
    rustix::stdio::dup2_stdout(&nowhere).unwrap();
    rustix::stdio::dup2_stderr(&nowhere).unwrap();
}

/// Has the workers of `pool` print three lines for each of 200 items.
pub fn print_lines(pool: &ProcessPool) {
    let sum: u64 = foreach_parallel!(0..200_u64, on = process(pool), |n| {
        println!("out {n} \u{1}\0");
        eprintln!("err {n}");
        println!("an end without a line break {n}");
        n
    })
    .sum();
    assert_eq!(sum, 19_900);
}

/// Whether a process that has [printed them](print_lines) has printed each line whole, and once.
pub fn assert_lines(output: &Output) {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}\n{err}");
    let count = |text: &str, line: String| text.lines().filter(|it| *it == line).count();
    for n in 0..200 {
        assert_eq!(count(&out, format!("out {n} \u{1}\0")), 1, "out {n}: {out}");
        assert_eq!(count(&err, format!("err {n}")), 1, "err {n}: {err}");
    }
}

/// How deep a chain of jobs gets, each of which starts the next, and why it ends.
pub fn jobs_down(depth: u32) -> (u32, String) {
    let next: Job<(u32, String)> = start_job!(using(depth), { jobs_down(depth + 1) });
    match next.join() {
        Ok(end) => end,
        Err(error) => match error.kind() {
            JobErrorKind::Process(it) if it.crash().is_none() => (depth, it.to_string()),
            _ => (depth, format!("another failure: {error}")),
        },
    }
}

/// The same, where each level is an item of a loop.
pub fn loops_down(depth: u32) -> (u32, String) {
    let next = foreach_parallel!([depth], on = process, |depth: u32| loops_down(depth + 1));
    // Beside the failure of a call there is the item that it stopped.
    let told = next
        .outcomes()
        .find(|it| it.as_ref().err().is_none_or(|it| !it.is_stopped()));
    match told.expect("an outcome") {
        Ok(end) => end,
        Err(error) => (depth, error.to_string()),
    }
}
