//! What those can do who mean harm: the claims of `docs/security.md` that no other file tests.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use runspace::{Cause, Job, ProcessPool, foreach_parallel, jobs, start_job, start_thread_job};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use support::{in_changed_process, within};

/// The variable that marks a worker, and nothing else.
const MARKER: &str = "RUNSPACE_CHILD";
const SECRET: &str = "hunter2-correct-horse";

/// A channel as parents make them.
fn channel() -> (OwnedFd, OwnedFd) {
    let kind = (
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
    );
    socketpair(kind.0, kind.1, kind.2, None).expect("a pair of sockets")
}

/// A marker by this process, one level deep. No constructor lies at 0, so the crate in the program takes it for one
/// of another build, and answers.
fn marker() -> String {
    format!("{}:1:0", std::process::id())
}

/// Starts `program` as a worker of this process.
fn as_worker(program: &Path, input: impl Into<Stdio>) -> Output {
    let mut command = Command::new(program);
    command.env(MARKER, marker()).stdin(input);
    command.output().expect("the program starts")
}

#[track_caller]
fn is_refused(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(
        said.contains("but it was not started by the program itself"),
        "{said}"
    );
}

#[test]
fn nobody_is_a_worker_by_its_marker_alone() {
    within(60, || {
        let program = std::env::current_exe().unwrap();
        is_refused(&as_worker(&program, Stdio::null()));
        is_refused(&as_worker(&program, Stdio::piped()));
    });
}

#[test]
fn a_channel_that_somebody_else_has_made_is_no_channel() {
    within(60, || {
        let (ours, theirs) = channel();
        // The shell is the parent, and has not made the channel. `$$` is its pid in a subshell, too.
        let line = format!("({MARKER}=$$:1:0 exec \"$0\"); exit $?");
        let program = std::env::current_exe().unwrap();
        let output = Command::new("bash")
            .args(["-c", &line])
            .arg(program)
            .stdin(theirs)
            .output()
            .expect("bash is there");
        is_refused(&output);
        drop(ours);
    });
}

/// A program that gives those who start it more rights than they have does not let them choose what
/// of its code runs.
#[test]
fn a_program_with_rights_of_its_own_serves_nobody_without_them() {
    const NOBODY: u32 = 65_534;
    const MIGHTY: &str = "MIGHTY_PROGRAM";
    let test = "a_program_with_rights_of_its_own_serves_nobody_without_them";
    if std::env::var_os(MIGHTY).is_none() && !rustix::process::geteuid().is_root() {
        return eprintln!("{test}: only root can make such a program");
    }
    let folder = tempfile::tempdir().unwrap();
    let is_void = rustix::fs::statvfs(folder.path())
        .is_ok_and(|it| it.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID));
    if is_void || rustix::thread::no_new_privs().unwrap_or(false) {
        return eprintln!("{test}: no file gives rights here");
    }
    let copy = |name: &str, mode| {
        let path = folder.path().join(name);
        fs::copy(std::env::current_exe().unwrap(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (plain, mighty) = (copy("plain", 0o755), copy("mighty", 0o4755));
    let change = |command: &mut Command| {
        let mut other = Command::new(&plain);
        other.args(command.get_args()).env(MIGHTY, mighty);
        for (name, value) in command.get_envs() {
            other.env(name, value.unwrap_or_default());
        }
        other.current_dir("/").uid(NOBODY).gid(NOBODY);
        *command = other;
    };
    let body = || {
        within(60, || {
            let (ours, theirs) = channel();
            let mighty = std::env::var_os(MIGHTY).unwrap();
            is_refused(&as_worker(Path::new(&mighty), theirs));
            drop(ours);
            // So it was not for want of a channel.
            let (ours, theirs) = channel();
            drop(ours);
            let output = as_worker(&std::env::current_exe().unwrap(), theirs);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("but its channel cannot be set up"), "{said}");
            #[cfg(feature = "cluster")]
            obeys_no_variable(Path::new(&mighty));
        });
    };
    in_changed_process(test, change, body).well();
}

/// A program that was given rights is no worker of a server that a stranger names.
#[cfg(feature = "cluster")]
fn obeys_no_variable(program: &Path) {
    let mut command = Command::new(program);
    command
        .arg("--list")
        .env("RUNSPACE_WORKER", "nats://127.0.0.1:1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("RUNSPACE_WORKER is not obeyed"), "{said}");
}

/// What the body of an item does to the channel of its worker, which is a socket and a pipe.
#[allow(unsafe_code)]
fn write_to_channel(bytes: &[u8]) {
    let mut written = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let number = entry.file_name().to_string_lossy().parse().unwrap();
        let kind = fs::read_link(entry.path()).map(|it| it.to_string_lossy().into_owned());
        let kind = kind.unwrap_or_default();
        // The standard streams are pipes as well.
        if number > 2 && (kind.starts_with("socket:") || kind.starts_with("pipe:")) {
            // SAFETY: it is open: nobody closes descriptors in this process meanwhile.
            let channel = unsafe { BorrowedFd::borrow_raw(number) };
            if rustix::io::write(channel, bytes) == Ok(bytes.len()) {
                written.push(kind);
            }
        }
    }
    let of = |kind| written.iter().any(|it| it.starts_with(kind));
    assert!(of("socket:") && of("pipe:"), "the worker has no channel");
}

fn frame(kind: u8, length: u64, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &length.to_le_bytes(), body].concat()
}

/// Nonsense of every sort costs the item that says it, whose worker is killed, and no other.
#[test]
fn nonsense_on_the_channel_costs_the_item_alone() {
    let noise: Vec<(Vec<u8>, &str)> = vec![
        (vec![0xff; 64], "unknown"),
        (frame(74, u64::MAX, &[]), "claims"),
        // An answer for an item that was not asked for.
        (frame(74, 4, &[0xff, 0x7f, 0, 0]), "kind 74"),
        (frame(2, 3, &[1, 2, 3]), "claims"),
        (frame(1, 1, &[9]), "claims"),
        // A greeting, and an order that only a parent gives.
        (frame(64, 2, &[3, 0]), "kind 64"),
        (frame(18, 1, &[0]), "kind 18"),
    ];
    for (bytes, said) in noise {
        within(60, move || {
            let pool = ProcessPool::builder().workers(2).build();
            let outcomes: Vec<_> = foreach_parallel!(
                0..40_u32,
                on = process(&pool),
                ordered = true,
                using(bytes),
                |n| {
                    if n == 7 {
                        write_to_channel(&bytes);
                    }
                    n
                }
            )
            .outcomes()
            .collect();
            assert_eq!(outcomes.len(), 40);
            for (n, outcome) in outcomes.into_iter().enumerate() {
                assert_eq!(outcome.is_err(), n == 7, "{said}: {outcome:?}");
                match outcome {
                    Ok(value) => assert_eq!(value as usize, n),
                    Err(error) => {
                        let text = error.to_string();
                        assert_eq!(error.index(), Some(7), "{text}");
                        assert!(text.contains("has lost its worker"), "{said}: {text}");
                        assert!(text.contains(said), "{said}: {text}");
                    }
                }
            }
        });
    }
}

/// A frame that never ends takes as little memory as has come of it, and as much time as the item has.
#[test]
fn a_frame_without_an_end_is_ended_by_the_timeout() {
    within(60, || {
        let pool = ProcessPool::builder().workers(1).build();
        let bytes = frame(74, 1 << 45, &[]);
        let outcomes: Vec<_> = foreach_parallel!(
            0..3_u32,
            on = process(&pool),
            ordered = true,
            timeout = Duration::from_secs(2),
            using(bytes),
            |n| {
                if n == 1 {
                    write_to_channel(&bytes);
                }
                n
            }
        )
        .outcomes()
        .collect();
        assert!(matches!(outcomes[0], Ok(0)) && matches!(outcomes[2], Ok(2)));
        let error = outcomes[1].as_ref().unwrap_err();
        assert!(matches!(error.cause(), Cause::TimedOut(_)), "{error}");
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find_map(|it| it.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 1 << 20, "{kib} KiB");
    });
}

/// What is captured is in no list of arguments, no variable, and in nothing that is printed.
#[test]
fn a_captured_secret_shows_nowhere() {
    within(60, || {
        let secret = SECRET.to_owned();
        let job = start_job!(name = "login", using(secret), {
            let places = [
                "/proc/self/cmdline",
                "/proc/self/environ",
                "/proc/self/comm",
            ];
            let mut seen: Vec<String> = Vec::new();
            for path in places {
                let bytes = fs::read(path).unwrap();
                let holds = bytes
                    .windows(secret.len())
                    .any(|it| it == secret.as_bytes());
                seen.extend(holds.then(|| path.to_owned()));
            }
            seen
        });
        assert_eq!(job.join().unwrap(), Vec::<String>::new());

        let secret = SECRET.to_owned();
        let job: Job<()> = start_job!(name = "login", using(secret), {
            drop(secret);
            std::process::abort()
        });
        job.wait();
        let mut said = format!("{job:?} {} {:?}", jobs(), job.records());
        let error = job.join().unwrap_err();
        said += &format!("{error} {error:?}");
        assert!(!said.contains(SECRET), "{said}");

        let secret = SECRET.to_owned();
        let pool = ProcessPool::builder().workers(1).build();
        let items = [SECRET.to_owned(), "other".to_owned()];
        let results = foreach_parallel!(items, on = process(&pool), using(secret), |item| {
            if item == secret {
                std::process::abort()
            }
            item.len()
        });
        let said: String = results.outcomes().map(|it| format!("{it:?}")).collect();
        assert!(
            said.contains("Ok(5)") && said.contains("Signal(6)"),
            "{said}"
        );
        assert!(!said.contains(SECRET), "{said}");
    });
}

/// The variables of this crate, with values that nobody would give them.
#[test]
fn hostile_variables_end_in_a_value_or_in_words() {
    const WORDS: [&str; 7] = [
        "",
        "-1",
        "99999999999999999999",
        "\u{1b}[2J",
        "a\nb",
        "process:0",
        "é",
    ];
    let test = "hostile_variables_end_in_a_value_or_in_words";
    let names = ["POLICY", "PLAN", "PROGRESS", "START_TIMEOUT", "DEPTH"];
    for name in names {
        for word in WORDS {
            let change = |command: &mut Command| {
                command.env(format!("RUNSPACE_{name}"), word);
            };
            in_changed_process(test, change, || {
                within(60, || {
                    let job = start_job!({ 6 * 7 });
                    match job.join() {
                        Ok(value) => assert_eq!(value, 42),
                        Err(error) => {
                            let text = error.to_string();
                            let is_told =
                                text.contains("RUNSPACE_") || text.contains("levels of jobs deep");
                            assert!(is_told, "{text}");
                        }
                    }
                    assert_eq!(foreach_parallel!(0..3, |n| n).count(), 3);
                });
            })
            .well();
        }
    }
}

#[test]
fn controls_in_names_show_as_spaces() {
    within(60, || {
        let job = start_thread_job!(name = "a\u{1b}[2J\nb", { 1 });
        job.wait();
        let table = jobs().to_string();
        assert!(table.contains(" a [2J b "), "{table}");
        assert!(!table.contains('\u{1b}'), "{table:?}");
    });
}
