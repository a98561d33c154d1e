//! Workers that do not come up: stopped or hanging before they say who they are, dying at each start, of
//! another build. Each is an error in words within the time limit, and starts no endless row of others.
//!
//! A constructor of this program, which runs before that of the library, sees to the faults: they are
//! those of real workers. Each test runs in a process of its own, for the variables that order a fault are
//! those of the whole process.

#![cfg(all(target_os = "linux", target_env = "gnu", feature = "process"))]

mod support;

use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use runspace::{Exit, Job, JobErrorKind, ProcessError, ProcessPool, foreach_parallel, start_job};
use rustix::process::Signal;
use support::census::{alone, children, failure_of_call, is_alive, send};
use support::{Ended, in_changed_process, within};

/// What happens to a worker before it says who it is.
const FAULT: &str = "WORKER_FAULT";
/// The file that gets a byte for each worker.
const COUNT: &str = "WORKER_COUNT";
/// The program that runs in place of this one.
const OTHER: &str = "WORKER_OTHER";

#[used]
#[unsafe(link_section = ".init_array.00200")]
#[allow(unsafe_code)]
static BEFORE: unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = before;

/// # Safety
/// As the loader calls constructors: with the arguments of `main`.
#[allow(unsafe_code)]
unsafe extern "C" fn before(count: c_int, args: *mut *mut c_char, _: *mut *mut c_char) {
    if count < 1 {
        return;
    }
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(*args) };
    if name.to_bytes().starts_with(b"runspace-worker:")
        && let Ok(fault) = std::env::var(FAULT)
    {
        fail(&fault, name);
    }
}

fn fail(fault: &str, name: &CStr) {
    let count = std::env::var_os(COUNT).unwrap();
    let file = fs::File::options().append(true).open(&count);
    file.unwrap().write_all(b"+").unwrap();
    let so_far = fs::metadata(&count).unwrap().len();
    let channel = rustix::stdio::stdin();
    match fault {
        "exit" => {
            eprintln!("cannot find its licence");
            std::process::exit(3);
        }
        "exit twice" if so_far <= 2 => std::process::exit(4),
        "exit twice" => {}
        "abort" => std::process::abort(),
        "stop" => {
            send(Signal::STOP, std::process::id());
        }
        "hang" => {
            eprintln!("waits for a server");
            std::thread::sleep(Duration::from_secs(1000));
        }
        "begin" => {
            // The first bytes of a greeting.
            rustix::io::write(channel, &[64, 20, 0]).unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "close" => {
            rustix::net::shutdown(channel, rustix::net::Shutdown::Both).unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "noise" => {
            rustix::io::write(channel, b"GET / HTTP/1.1\r\n\r\n").unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "protocol" => {
            // A greeting: two fields, protocol 99, and a build of four bytes as any sequence.
            let body = [2, 99, 7, 0xde, 0xad, 0xbe, 0xef];
            let mut frame = vec![64];
            frame.extend((body.len() as u64).to_le_bytes());
            frame.extend(body);
            rustix::io::write(channel, &frame).unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "other" => {
            use std::os::unix::process::CommandExt;
            let other = std::env::var_os(OTHER).unwrap();
            let arguments = std::env::args_os().skip(1);
            let error = Command::new(other)
                .arg0(name.to_str().unwrap())
                .args(arguments)
                .env_remove(FAULT)
                .exec();
            panic!("{error}");
        }
        fault => panic!("no fault is called {fault}"),
    }
}

/// A file that counts.
struct Count(tempfile::NamedTempFile);

impl Count {
    fn new() -> Self {
        Self(tempfile::NamedTempFile::new().unwrap())
    }

    /// Runs `body` in a process whose workers have this fault, and takes the census there.
    fn with(
        &self,
        test: &str,
        fault: &str,
        change: impl FnOnce(&mut Command),
        body: impl FnOnce() + Send + 'static,
    ) -> Ended {
        let path = self.0.path().to_owned();
        let prepare = |command: &mut Command| {
            command.env(FAULT, fault).env(COUNT, path);
            change(command);
        };
        in_changed_process(test, prepare, || alone(40, body)).well()
    }

    /// How many workers were started.
    fn workers(&self) -> u64 {
        fs::metadata(self.0.path()).unwrap().len()
    }
}

fn job_error() -> ProcessError {
    let job: Job<u8> = start_job!(name = "answer", { 42 });
    match job.join().unwrap_err().into_kind() {
        JobErrorKind::Process(error) => error,
        other => panic!("{other:?}"),
    }
}

fn call_error() -> ProcessError {
    let outcomes = foreach_parallel!(0..1000_u32, on = process, throttle = 5, |n| n).outcomes();
    match failure_of_call(outcomes).cause() {
        runspace::Cause::Process(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// Runs `check` on the failure of a job and on that of a call, both of whose workers have this fault and
/// `seconds` to come up. Answers how many workers each of the two has started.
fn both(test: &str, fault: &str, seconds: &str, check: fn(&ProcessError)) -> [u64; 2] {
    let run = |kind: &'static str, get: fn() -> ProcessError| {
        let count = Count::new();
        let limit = |it: &mut Command| {
            it.env("RUNSPACE_START_TIMEOUT", seconds).env("KIND", kind);
        };
        count.with(test, fault, limit, move || {
            let start = Instant::now();
            let error = get();
            assert!(
                start.elapsed() < Duration::from_secs(15),
                "{:?}",
                start.elapsed()
            );
            check(&error);
        });
        count.workers()
    };
    // In the process of one of the two, the other is not wanted.
    match std::env::var("KIND").as_deref() {
        Ok("call") => [0, run("call", call_error)],
        Ok(_) => [run("job", job_error), 0],
        Err(_) => [run("job", job_error), run("call", call_error)],
    }
}

#[test]
fn a_worker_that_is_stopped_before_it_reports_is_given_up() {
    within(120, || {
        let test = "a_worker_that_is_stopped_before_it_reports_is_given_up";
        let counts = both(test, "stop", "1.5", |error| {
            let text = error.to_string();
            assert!(error.is_timeout(), "{text}");
            let pid = error.crash().unwrap().pid();
            for part in [
                format!("(pid {pid})"),
                "not come as far as to report after 1.5s".into(),
                "RUNSPACE_START_TIMEOUT".into(),
            ] {
                assert!(text.contains(&part), "{part:?} is not in {text:?}");
            }
            assert!(!is_alive(pid));
        });
        assert!(counts[0] <= 3 && counts[1] <= 5, "{counts:?}");
    });
}

#[test]
fn a_worker_that_hangs_before_it_reports_is_given_up_with_its_last_words() {
    within(120, || {
        let test = "a_worker_that_hangs_before_it_reports_is_given_up_with_its_last_words";
        both(test, "hang", "1", |error| {
            assert!(error.is_timeout(), "{error}");
            assert_eq!(error.crash().unwrap().stderr(), ["waits for a server"]);
            assert!(
                error.to_string().contains("    waits for a server"),
                "{error}"
            );
        });
    });
}

#[test]
fn a_worker_that_hangs_within_its_report_is_given_up() {
    within(120, || {
        let test = "a_worker_that_hangs_within_its_report_is_given_up";
        both(test, "begin", "1", |error| {
            assert!(error.is_timeout(), "{error}")
        });
    });
}

#[test]
fn a_worker_that_closes_its_channel_is_ended() {
    within(120, || {
        let test = "a_worker_that_closes_its_channel_is_ended";
        both(test, "close", "30", |error| {
            let text = error.to_string();
            assert!(
                text.contains("before it had come as far as to report"),
                "{text}"
            );
            assert!(!is_alive(error.crash().unwrap().pid()));
        });
    });
}

#[test]
fn a_worker_that_says_something_else_is_ended() {
    within(120, || {
        let test = "a_worker_that_says_something_else_is_ended";
        both(test, "noise", "30", |error| {
            let text = error.to_string();
            assert!(text.contains("message of kind 71 claims"), "{text}");
        });
    });
}

#[test]
fn a_worker_that_dies_at_each_start_is_not_started_for_ever() {
    within(120, || {
        let test = "a_worker_that_dies_at_each_start_is_not_started_for_ever";
        let counts = both(test, "exit", "30", |error| {
            let text = error.to_string();
            assert_eq!(error.crash().unwrap().exit(), Exit::Code(3), "{text}");
            for part in [
                "before it had come as far as to report",
                "exited with code 3",
                "    cannot find its licence",
            ] {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
            // Whatever is made in the background has had its chance.
            std::thread::sleep(Duration::from_millis(300));
        });
        // A job: its own worker, and what is to be ready for the next one, twice. A call: three
        // for each of its five places.
        assert!((1..=3).contains(&counts[0]), "{counts:?}");
        assert!((1..=15).contains(&counts[1]), "{counts:?}");
    });
}

#[test]
fn a_worker_that_aborts_at_each_start_is_not_started_for_ever() {
    within(120, || {
        let test = "a_worker_that_aborts_at_each_start_is_not_started_for_ever";
        let counts = both(test, "abort", "30", |error| {
            let signal = error.crash().unwrap().exit().signal_name();
            assert_eq!(signal, Some("SIGABRT"), "{error}");
        });
        assert!(counts[0] <= 3 && counts[1] <= 15, "{counts:?}");
    });
}

#[test]
fn a_worker_that_dies_at_its_first_starts_costs_a_call_nothing() {
    within(120, || {
        let test = "a_worker_that_dies_at_its_first_starts_costs_a_call_nothing";
        let count = Count::new();
        count.with(
            test,
            "exit twice",
            |_| {},
            || {
                let pool = ProcessPool::builder().workers(1).build();
                let sum: u32 = foreach_parallel!(0..100_u32, on = process(&pool), |n| n).sum();
                assert_eq!(sum, 4950);
            },
        );
        assert!(count.workers() >= 3);
    });
}

#[test]
fn many_jobs_whose_workers_die_leave_nothing() {
    within(120, || {
        let test = "many_jobs_whose_workers_die_leave_nothing";
        let count = Count::new();
        count.with(
            test,
            "exit",
            |_| {},
            || {
                let jobs: Vec<Job<u8>> = (0..40).map(|_| start_job!({ 1 })).collect();
                for job in jobs {
                    let error = job.join().unwrap_err().to_string();
                    assert!(error.contains("cannot find its licence"), "{error}");
                }
                assert!(children().len() <= 2, "{:?}", children());
            },
        );
        // One each, and for each at most two attempts to have one ready for the next.
        assert!((40..=120).contains(&count.workers()), "{}", count.workers());
    });
}

#[test]
fn a_time_limit_that_is_none_is_refused_in_words() {
    within(120, || {
        let test = "a_time_limit_that_is_none_is_refused_in_words";
        for text in ["0", "-1", "soon", "1e30", "nan"] {
            let change = |it: &mut Command| {
                it.env("RUNSPACE_START_TIMEOUT", text);
            };
            in_changed_process(test, change, || {
                alone(40, || {
                    for error in [job_error(), call_error()] {
                        let words = error.to_string();
                        assert!(words.contains("RUNSPACE_START_TIMEOUT is \""), "{words}");
                        assert!(words.contains("no number of seconds above 0"), "{words}");
                    }
                });
            })
            .well();
        }
    });
}

#[test]
fn a_worker_of_another_protocol_is_refused_with_both_named() {
    within(120, || {
        let test = "a_worker_of_another_protocol_is_refused_with_both_named";
        let counts = both(test, "protocol", "30", |error| {
            let text = error.to_string();
            for part in [
                "not the same program",
                "it has protocol 99, build deadbeef",
                "and this one protocol 3, build ",
            ] {
                assert!(text.contains(part), "{part:?} is not in {text:?}");
            }
            assert!(error.crash().is_none());
        });
        // Another try would meet the same.
        assert!(counts[0] <= 3 && counts[1] <= 5, "{counts:?}");
    });
}

/// A copy of this program that calls itself another build, and the two build ids.
fn another_build(folder: &Path) -> (PathBuf, String, String) {
    let mut bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
    // The head of a note by GNU that holds a build id of 20 bytes.
    let mut head = vec![4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0];
    head.extend(b"GNU\0");
    let at = bytes.windows(head.len()).position(|it| it == head);
    let at = at.expect("the linker writes a build id") + head.len();
    let words = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect::<String>()
    };
    let own = words(&bytes[at..at + 20]);
    bytes[at + 19] ^= 0x10;
    let other = words(&bytes[at..at + 20]);
    let path = folder.join("another-build");
    fs::write(&path, bytes).unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, all).unwrap();
    (path, own, other)
}

#[test]
fn a_worker_of_another_build_is_refused_with_both_named() {
    within(120, || {
        let test = "a_worker_of_another_build_is_refused_with_both_named";
        let folder = tempfile::tempdir().unwrap();
        let (path, own, other) = another_build(folder.path());
        let count = Count::new();
        let change = |it: &mut Command| {
            it.env(OTHER, path)
                .env("OWN_BUILD", own)
                .env("OTHER_BUILD", other);
        };
        count.with(test, "other", change, || {
            for error in [job_error(), call_error()] {
                let text = error.to_string();
                for (words, variable) in [
                    ("it has protocol 3, build ", "OTHER_BUILD"),
                    ("this one protocol 3, build ", "OWN_BUILD"),
                ] {
                    let part = format!("{words}{}", std::env::var(variable).unwrap());
                    assert!(text.contains(&part), "{part:?} is not in {text:?}");
                }
            }
        });
        assert!((2..=8).contains(&count.workers()), "{}", count.workers());
    });
}
