//! Programs whose processes are started by a library that they depend on.

#![cfg(target_os = "linux")]

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `program` to its end; what it has printed.
fn run(program: &str) -> String {
    let mut child = Command::new(program)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{program} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(status.success(), "{status}: {text}");
    text
}

fn check(text: &str) {
    // The `main` of the program has run once: none of its workers has.
    assert_eq!(text.matches("main of ").count(), 1, "{text}");
    let rest: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        rest,
        ["3 squared is 9", "4 squared is 16", "[0, 1, 4, 9, 16]"]
    );
}

#[test]
fn a_program_that_knows_nothing_of_processes() {
    check(&run(env!("CARGO_BIN_EXE_unaware")));
}

#[test]
fn a_program_that_serves_from_its_main() {
    check(&run(env!("CARGO_BIN_EXE_served")));
}

#[test]
fn a_library_in_a_test() {
    let (square, process) = runspace_test_library::square(12).unwrap();
    assert_eq!(square, 144);
    assert_ne!(process, std::process::id());
}
