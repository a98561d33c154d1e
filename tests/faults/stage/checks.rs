//! Tests of the stage itself: what is left behind is found, and so is what hangs.

use std::fs::File;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::playing::SETTLE;
use super::{Row, Test, test};

pub(super) const ROWS: &[Row] = &[Row {
    id: "Checks",
    name: "of_the_stage",
    fault: "A test that leaves something behind, hangs, or fails",
    outcome: "It fails, and says what was left, what hangs, why it failed.",
    tests: &[
        leaves("a_child", || drop(sleeper(1000).spawn()), "sleep"),
        leaves("a_zombie", || drop(sleeper(0).spawn()), " Z "),
        leaves(
            "a_descriptor",
            || std::mem::forget(File::open("/dev/null")),
            "/dev/null",
        ),
        leaves("a_thread", a_thread, "thread "),
        // Its parent is gone before the census, so that only its mark tells whose it is.
        test("a_daemon", || {
            drop(Command::new("sh").args(["-c", DAEMON]).status())
        })
        .complains("has left processes behind"),
        test("a_file", || {
            drop(tempfile::NamedTempFile::new().unwrap().keep())
        })
        .complains("has left files behind"),
        test("a_hang", || sleep(Duration::from_secs(1000)))
            .within(2)
            .complains("hangs"),
        test("a_hang_of_a_call", || {
            let results = runspace::foreach_parallel!(0..1, |_| sleep(Duration::from_secs(1000)));
            results.wait();
        })
        .within(2)
        .complains("the reader of the call at "),
        test("a_panic", || panic!("it is wrong"))
            .exits_with(101)
            .then(|ended| {
                assert!(ended.err.contains("it is wrong"), "{ended:?}");
            }),
        // One that ends in another way than by its end, with all that it was told to say.
        test("an_early_end", || std::process::exit(0)).exits_with(0),
        test("what_it_says", || {
            std::io::stdout().write_all(b"heard").unwrap()
        })
        .then(|ended| {
            assert_eq!(ended.out, "heard");
        }),
    ],
    elsewhere: "",
}];

const DAEMON: &str = "setsid sleep 1000 < /dev/null > /dev/null 2>&1 &";

const fn leaves(on: &'static str, body: fn(), what: &'static str) -> Test {
    test(on, body).with(&[(SETTLE, "1")]).complains(what)
}

fn sleeper(seconds: u32) -> Command {
    let mut command = Command::new("sleep");
    command.arg(seconds.to_string()).stdin(Stdio::null());
    command
}

fn a_thread() {
    std::thread::spawn(|| sleep(Duration::from_secs(1000)));
}
