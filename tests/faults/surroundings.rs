//! What is around a program: its file, its environment, how it was built, who has forked it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;

use runspace::{JobQueue, foreach_parallel, start_job, start_thread_job};

use crate::common::{MS, pair};
use crate::stage::{Row, part, pool, process, threads};
use crate::support::fork::in_fork;

pub const ROWS: &[Row] = &[
    Row {
        id: "B3",
        name: "executable_goes",
        fault: "The executable is deleted, or replaced by another, while it runs",
        outcome: "Processes start all the same, and are the same code.",
        tests: &[process(b3_process), pool(b3_pool)],
        elsewhere: "Threads need no file.",
    },
    Row {
        id: "B4",
        name: "surroundings_change",
        fault: "Environment and working directory change between two jobs",
        outcome: "Each process has those of the moment in which its job was started, spares and idle workers or not.",
        tests: &[process(b4_process), pool(b4_pool)],
        elsewhere: "Threads share those of their process.",
    },
    Row {
        id: "B6",
        name: "built_to_abort",
        fault: "A program that is built with `panic = \"abort\"`, whose bodies panic",
        outcome: "Each panic is the crash of its own job or item, by the name of SIGABRT and with the message.",
        tests: &[process(b6_process).within(500)],
        elsewhere: "The program has jobs and a pool (`tests/faults/panic_abort_program.rs`). On threads it ends the program, as it is built to.",
    },
    Row {
        id: "B8",
        name: "no_set_up_call",
        fault: "Used from where nobody has set anything up: a library's dependency, a program whose `main` knows nothing, this test program with a harness of its own",
        outcome: "Jobs and calls run, and the `main` of the program runs once.",
        tests: &[process(b8_process), pool(b8_pool)],
        elsewhere: "libtest is what all other tests of this workspace run in, doctests what its documentation does, programs and tests with such a library are in `tests/library`. On threads nothing is to be set up.",
    },
    Row {
        id: "B9",
        name: "forked_by_the_program",
        fault: "The program has called `fork` itself; the copy has the memory of its parent and none of its threads",
        outcome: "What the copy starts runs, on threads and in processes of its own.",
        tests: &[threads(b9_threads), process(b9_process), pool(b9_pool)],
        elsewhere: "(More of it: `runtime/tests/after_fork.rs`.)",
    },
];

/// Runs a copy of this program, which is gone or another one as soon as it runs.
fn as_a_copy(body: fn()) {
    if let Some(part) = part() {
        let own = std::env::current_exe().unwrap();
        fs::remove_file(&own).unwrap();
        if part == "replaced" {
            fs::write(&own, "#!/bin/sh\necho another program\n").unwrap();
            fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
        }
        body();
        std::process::exit(0);
    }
    for part in ["deleted", "replaced"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let mut command = Command::new(&copy);
        // What `again` sets, for another file.
        for (name, value) in crate::stage::again(part).get_envs() {
            command.env(name, value.unwrap());
        }
        assert!(command.status().unwrap().success(), "{part}");
    }
}

fn b3_process() {
    as_a_copy(|| {
        for n in 0..3_u64 {
            assert_eq!(start_job!(using(n), { n + 5 }).join().unwrap(), n + 5);
        }
    });
}

fn b3_pool() {
    as_a_copy(|| {
        let pool = pair();
        assert_eq!(
            foreach_parallel!(0..100_u64, on = process(&pool), |n| n).sum::<u64>(),
            4950
        );
    });
}

const NAME: &str = "A_VARIABLE";

fn set(value: &str) {
    #![allow(unsafe_code)]
    // SAFETY: no other thread of this test looks at the environment meanwhile.
    unsafe { std::env::set_var(NAME, value) };
}

/// Where a process is, and what the variable is there.
type There = (std::path::PathBuf, Option<String>);

fn there() -> There {
    (std::env::current_dir().unwrap(), std::env::var(NAME).ok())
}

/// Asks `get` in changing surroundings.
fn surroundings_change(get: impl Fn() -> There) {
    let before = std::env::current_dir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(get(), there());
    for round in 0..6 {
        set(&round.to_string());
        std::env::set_current_dir(if round % 2 == 0 {
            folder.path()
        } else {
            &before
        })
        .unwrap();
        if round > 3 {
            sleep(100 * MS); // for a spare to be there, made before the change
        }
        assert_eq!(get(), there(), "round {round}");
    }
    std::env::set_current_dir(before).unwrap();
}

fn b4_process() {
    surroundings_change(|| start_job!({ there() }).join().unwrap());
}

fn b4_pool() {
    let pool = pair();
    surroundings_change(|| {
        let mut all = foreach_parallel!(0..4, on = process(&pool), |_n| there());
        let first = all.next().unwrap();
        assert!(all.all(|it| it == first));
        first
    });
}

const MANIFEST: &str = r#"
[package]
name = "panic-abort"
version = "0.0.0"
edition = "2024"

[dependencies]
runspace = { path = 'RUNTIME', default-features = false, features = ["process"] }

[profile.dev]
panic = "abort"
debug = 0

[workspace]
"#;

/// How panics end is one decision for a whole program, so the program is built here, as a package of its
/// own. That takes a while the first time.
fn b6_process() {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = MANIFEST.replace("RUNTIME", runtime.to_str().unwrap());
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let program = include_str!("panic_abort_program.rs");
    fs::write(folder.join("src/main.rs"), program).unwrap();
    // The versions that this was built with: they are here already.
    let _ = fs::copy(runtime.join("../Cargo.lock"), folder.join("Cargo.lock"));
    let output = Command::new(env!("CARGO"))
        .args(["run", "--offline", "--quiet", "--target-dir", "target"])
        .current_dir(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(text.trim_end(), "aborts cost what they should");
}

fn b8_process() {
    let (square, process) = runspace_test_library::square(12).unwrap();
    assert_eq!(square, 144);
    assert_ne!(process, std::process::id());
    // What it calls the thread tells that no `main` was there before.
    assert_eq!(
        runspace_test_library::name_of_worker_thread().unwrap(),
        None
    );
}

fn b8_pool() {
    assert_eq!(runspace_test_library::squares(5), [0, 1, 4, 9, 16]);
}

/// Does it before, in two copies, in a copy of a copy, and after.
fn here_and_in_forks(body: fn()) {
    body();
    in_fork("the body", body);
    in_fork("a copy of a copy", || {
        body();
        in_fork("the body", body);
    });
    body();
}

fn b9_threads() {
    here_and_in_forks(|| {
        assert_eq!(
            foreach_parallel!(0..1000_u64, throttle = 4, |n| n).sum::<u64>(),
            499_500
        );
        assert_eq!(JobQueue::global().running(), 0);
        assert_eq!(start_thread_job!({ 5 }).join().unwrap(), 5);
    });
}

fn b9_process() {
    here_and_in_forks(|| {
        assert_eq!(start_job!({ 6 }).join().unwrap(), 6);
        assert_eq!(start_job!(file = "echo", args = ["7"]).join().unwrap(), "7");
    });
}

fn b9_pool() {
    here_and_in_forks(|| {
        let sum: u64 = foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| n).sum();
        assert_eq!(sum, 4950);
    });
}
