//! Workers that do not come up: stopped or hanging before they say who they are, dying at each start, of
//! another build. Each is an error in words within the time limit, and starts no endless row of others.
//!
//! A constructor of this program, which runs before that of the library, sees to the faults: they are
//! those of real workers.

use std::ffi::{c_char, c_int};
use std::fs;
use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use runspace::{Exit, Job, ProcessError, foreach_parallel, start_job};
use rustix::process::Signal;

use crate::common::{assert_has, process_error, promptly, workers};
use crate::stage::{Row, Test, beside, pool, process};
use crate::support::census::{children, failure_of_call, is_alive, send};

pub const ROWS: &[Row] = &[
    Row {
        id: "A6",
        name: "dies_at_each_start",
        fault: "A worker dies each time before it has come as far as to report",
        outcome: "An error after a few tries, with exit code or signal and the last lines of stderr; no endless row of starts. One that dies at its first starts only costs a call nothing.",
        tests: &[
            job(|| both_exit(job_error, 3)).with(&[(FAULT, "exit")]),
            job(|| both_abort(job_error, 3))
                .with(&[(FAULT, "abort")])
                .named("process_aborting"),
            job(many_jobs)
                .with(&[(FAULT, "exit")])
                .named("process_of_many"),
            call(|| both_exit(call_error, 15)).with(&[(FAULT, "exit")]),
            call(|| both_abort(call_error, 15))
                .with(&[(FAULT, "abort")])
                .named("pool_aborting"),
            call(first_starts)
                .with(&[(FAULT, "exit twice")])
                .named("pool_at_first"),
        ],
        elsewhere: "Threads have no worker process to start.",
    },
    Row {
        id: "A43",
        name: "another_build",
        fault: "A worker is another build, or speaks another protocol",
        outcome: "It is refused at once, with both builds and both protocols named.",
        tests: &[
            job(|| another_build(job_error)).with(&[(FAULT, "other")]),
            job(|| protocol(job_error, 3))
                .with(&[(FAULT, "protocol")])
                .named("process_protocol"),
            call(|| another_build(call_error)).with(&[(FAULT, "other")]),
            call(|| protocol(call_error, 5))
                .with(&[(FAULT, "protocol")])
                .named("pool_protocol"),
        ],
        elsewhere: "Threads are the same build.",
    },
    Row {
        id: "B5",
        name: "never_reports",
        fault: "A worker never says hello: it is stopped, hangs, hangs in the middle of its greeting, or closes its channel",
        outcome: "An error within the time limit (`RUNSPACE_START_TIMEOUT`), with the last lines of stderr; the worker is ended. A limit that is none is refused in words.",
        tests: &[
            job(|| stopped(job_error, 3)).with(&[(FAULT, "stop"), (LIMIT, "1.5")]),
            job(|| hanging(job_error))
                .with(&[(FAULT, "hang"), (LIMIT, "1")])
                .named("process_hanging"),
            job(|| half_way(job_error))
                .with(&[(FAULT, "begin"), (LIMIT, "1")])
                .named("process_half_way"),
            job(|| closing(job_error))
                .with(&[(FAULT, "close")])
                .named("process_closing"),
            job(|| no_limit(job_error))
                .with(&[(LIMIT, "soon")])
                .named("process_no_limit"),
            job(|| no_limit(job_error))
                .with(&[(LIMIT, "0")])
                .named("process_limit_of_0"),
            call(|| stopped(call_error, 5)).with(&[(FAULT, "stop"), (LIMIT, "1.5")]),
            call(|| hanging(call_error))
                .with(&[(FAULT, "hang"), (LIMIT, "1")])
                .named("pool_hanging"),
            call(|| half_way(call_error))
                .with(&[(FAULT, "begin"), (LIMIT, "1")])
                .named("pool_half_way"),
            call(|| closing(call_error))
                .with(&[(FAULT, "close")])
                .named("pool_closing"),
            call(|| no_limit(call_error))
                .with(&[(LIMIT, "nan")])
                .named("pool_no_limit"),
        ],
        elsewhere: "Threads have no worker process to start.",
    },
    Row {
        id: "B11",
        name: "random_bytes",
        fault: "Frames with a false length or of an unknown kind, random bytes",
        outcome: "Refused in words; the worker is ended, and no memory is asked for on the word of a stranger. (The decoder is fuzzed besides: `fuzz/`.)",
        tests: &[
            job(|| noise(job_error)).with(&[(FAULT, "noise")]),
            job(|| length(job_error))
                .with(&[(FAULT, "length")])
                .named("process_length"),
            call(|| noise(call_error)).with(&[(FAULT, "noise")]),
            call(|| length(call_error))
                .with(&[(FAULT, "length")])
                .named("pool_length"),
        ],
        elsewhere: "Threads exchange no frames.",
    },
];

const LIMIT: &str = "RUNSPACE_START_TIMEOUT";

const fn job(body: fn()) -> Test {
    process(body)
}

const fn call(body: fn()) -> Test {
    pool(body)
}

type Fail = fn() -> ProcessError;

fn job_error() -> ProcessError {
    let job: Job<u8> = start_job!(name = "answer", { 42 });
    process_error(job)
}

fn call_error() -> ProcessError {
    let outcomes = foreach_parallel!(0..1000_u32, on = process, throttle = 5, |n| n).outcomes();
    match failure_of_call(outcomes).cause() {
        runspace::Cause::Process(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// How many workers were started.
fn started() -> u64 {
    fs::metadata(count_file()).map_or(0, |it| it.len())
}

/// Runs `get` and answers its error; it may start so many workers.
fn counted(get: Fail, most: u64) -> ProcessError {
    let error = promptly(get);
    // Whatever is made in the background has its chance.
    std::thread::sleep(Duration::from_millis(300));
    let count = started();
    assert!((1..=most).contains(&count), "{count} workers");
    error
}

fn both_exit(get: Fail, most: u64) {
    let error = counted(get, most);
    assert_eq!(error.crash().unwrap().exit(), Exit::Code(3), "{error}");
    let parts = [
        "before it had come as far as to report",
        "exited with code 3",
        "    cannot find its licence",
    ];
    assert_has(&error.to_string(), &parts);
}

fn both_abort(get: Fail, most: u64) {
    let error = counted(get, most);
    assert_eq!(
        error.crash().unwrap().exit().signal_name(),
        Some("SIGABRT"),
        "{error}"
    );
}

fn many_jobs() {
    let jobs: Vec<Job<u8>> = (0..40).map(|_| start_job!({ 1 })).collect();
    for job in jobs {
        assert_has(
            &job.join().unwrap_err().to_string(),
            &["cannot find its licence"],
        );
    }
    assert!(children().len() <= 2, "{:?}", children());
    // One each, and for each at most two attempts to have one ready for the next.
    let count = started();
    assert!((40..=120).contains(&count), "{count}");
}

fn first_starts() {
    let pool = workers(1).build();
    let sum: u32 = foreach_parallel!(0..100_u32, on = process(&pool), |n| n).sum();
    assert_eq!(sum, 4950);
    assert!(started() >= 3);
}

fn another_build(get: Fail) {
    let (own, other) = another_build_at(&other_program());
    let error = counted(get, 5);
    let parts = [
        format!("it has protocol 3, build {other}"),
        format!("this one protocol 3, build {own}"),
    ];
    assert_has(&error.to_string(), &parts.each_ref().map(|it| &**it));
}

fn protocol(get: Fail, most: u64) {
    let error = counted(get, most);
    let parts = [
        "not the same program",
        "it has protocol 99, build deadbeef",
        "and this one protocol 3, build ",
    ];
    assert_has(&error.to_string(), &parts);
    assert!(error.crash().is_none());
}

fn stopped(get: Fail, most: u64) {
    let error = counted(get, most);
    let pid = error.crash().unwrap().pid();
    assert!(error.is_timeout(), "{error}");
    let named = format!("(pid {pid})");
    assert_has(
        &error.to_string(),
        &[&named, "not come as far as to report after 1.5s", LIMIT],
    );
    assert!(!is_alive(pid));
}

fn hanging(get: Fail) {
    let error = counted(get, 5);
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.crash().unwrap().stderr(), ["waits for a server"]);
    assert_has(&error.to_string(), &["    waits for a server"]);
}

fn half_way(get: Fail) {
    let error = counted(get, 5);
    assert!(error.is_timeout(), "{error}");
}

fn closing(get: Fail) {
    let error = counted(get, 15);
    assert_has(
        &error.to_string(),
        &["before it had come as far as to report"],
    );
    assert!(!is_alive(error.crash().unwrap().pid()));
}

fn no_limit(get: Fail) {
    let error = promptly(get);
    assert_has(
        &error.to_string(),
        &[
            "RUNSPACE_START_TIMEOUT is \"",
            "no number of seconds above 0",
        ],
    );
}

fn noise(get: Fail) {
    let error = counted(get, 15);
    assert_has(&error.to_string(), &["message of kind 71 claims"]);
}

fn length(get: Fail) {
    let error = counted(get, 15);
    assert_has(&error.to_string(), &["claims"]);
}

/// What happens to a worker before it says who it is.
const FAULT: &str = "WORKER_FAULT";

/// The file that gets a byte for each worker.
fn count_file() -> PathBuf {
    beside("workers")
}

/// The program that runs in place of this one.
fn other_program() -> PathBuf {
    beside("another-build")
}

/// The variable that marks a worker.
const MARKER: &str = "RUNSPACE_CHILD";

#[used]
#[unsafe(link_section = ".init_array.00200")]
#[allow(unsafe_code)]
static BEFORE: unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = before;

/// # Safety
/// As the loader calls constructors: with the arguments of `main`.
#[allow(unsafe_code)]
unsafe extern "C" fn before(_: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {
    if std::env::var_os(MARKER).is_some()
        && let Ok(fault) = std::env::var(FAULT)
    {
        fail(&fault);
    }
}

fn fail(fault: &str) {
    let count = count_file();
    let file = fs::File::options().create(true).append(true).open(&count);
    file.unwrap().write_all(b"+").unwrap();
    let so_far = fs::metadata(&count).unwrap().len();
    let channel = rustix::stdio::stdin();
    let answer = |bytes: &[u8]| {
        let pipe = answers(channel);
        rustix::io::write(&pipe, bytes).unwrap();
        // It stays open for as long as the process is there.
        std::mem::forget(pipe);
    };
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
            answer(&[64, 20, 0]);
            std::thread::sleep(Duration::from_secs(1000));
        }
        "close" => {
            rustix::net::shutdown(channel, rustix::net::Shutdown::Both).unwrap();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "noise" => {
            answer(b"GET / HTTP/1.1\r\n\r\n");
            std::thread::sleep(Duration::from_secs(1000));
        }
        "length" => {
            // A frame of a kind that there is, which claims to be of as many bytes as can be.
            answer(&[64, 255, 255, 255, 255, 255, 255, 255, 127]);
            std::thread::sleep(Duration::from_secs(1000));
        }
        "protocol" => {
            // A greeting: two fields, protocol 99, and a build of four bytes as any sequence.
            let body = [2, 99, 7, 0xde, 0xad, 0xbe, 0xef];
            let mut frame = vec![64];
            frame.extend((body.len() as u64).to_le_bytes());
            frame.extend(body);
            answer(&frame);
            std::thread::sleep(Duration::from_secs(1000));
        }
        "other" => {
            use std::os::unix::process::CommandExt;
            let other = other_program();
            let arguments = std::env::args_os().skip(1);
            let error = Command::new(other).args(arguments).env_remove(FAULT).exec();
            panic!("{error}");
        }
        fault => panic!("no fault is called {fault}"),
    }
}

/// The pipe that this worker is to answer through, which comes with the first byte.
fn answers(channel: BorrowedFd<'_>) -> OwnedFd {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut byte = [IoSliceMut::new(&mut byte)];
    recvmsg(channel, &mut byte, &mut control, RecvFlags::empty()).unwrap();
    let mut descriptors = control.drain().filter_map(|it| match it {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.next().unwrap()
}

/// Writes a copy of this program that calls itself another build; answers the two build ids.
fn another_build_at(path: &Path) -> (String, String) {
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
    fs::write(path, bytes).unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, all).unwrap();
    (own, other)
}
