//! A program as a job.
#![deny(warnings)]

use runspace::{Job, start_job};

fn main() {
    let word = String::from("two words");
    let job: Job<String> = start_job!(file = "echo", args = ["one", &word], name = "echo");
    assert_eq!(job.iter().collect::<Vec<_>>(), ["one two words"]);
    let job = start_job!(file = if cfg!(windows) { "cmd" } else { "true" });
    assert_eq!(job.iter().count(), 0);
}
