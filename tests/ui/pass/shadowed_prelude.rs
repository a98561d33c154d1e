//! Nothing that a call expands to is taken from the names around it.
#![allow(dead_code, non_camel_case_types, unused_macros)]

mod core {}
mod std {}
mod runspace_macros {}

struct Option;
struct Result;
struct Some;
struct None;
struct Ok;
struct Err;
struct Box;
struct Vec;
struct String;
struct Send;
struct Sync;
struct Options;
struct JobOptions;
trait Iterator {}
trait IntoIterator {}
trait FnOnce {}
trait Fn {}
trait Clone {}

fn foreach() {}
fn thread_job() {}
fn capture() {}
fn drop() {}

macro_rules! compile_error {
    () => {};
}
macro_rules! panic {
    () => {};
}

fn main() {
    let worker = 1;
    let sum = ::runspace::foreach_parallel!(
        0..3,
        throttle = 2,
        init(state = 0),
        using(worker, other = 2),
        |n| {
            state = n;
            state + worker + other
        }
    );
    assert_eq!(::std::iter::Iterator::sum::<i32>(sum), 12);
    let job = ::runspace::start_thread_job!(name = "a", using(worker), { worker + 1 });
    assert_eq!(job.join().ok(), ::std::option::Option::Some(2));
}
