//! External programs as jobs: lines out, exit status in the state, real stops, nothing left behind.

#![cfg(all(feature = "process", target_os = "linux"))]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use runspace::__private::{ProgramOptions, program_job};
use runspace::{
    Exit, Job, JobError, JobErrorKind, JobState, Level, jobs, start_job, start_thread_job,
};
use support::{in_own_process, throughout, until};

fn shell(script: &str) -> ProgramOptions {
    ProgramOptions::new("sh").args(["-c", script])
}

/// What the process has: its children, the dead ones among them, and its open files.
fn census() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let children = fs::read_dir("/proc").unwrap().flatten().filter_map(|it| {
        let stat = fs::read_to_string(it.path().join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let (state, parent) = (rest.next()?, rest.next()?);
        (parent == own).then(|| format!("child {name}) {state}"))
    });
    let folder = Path::new("/proc").join(&own).join("fd");
    let open = fs::read_dir("/proc/self/fd")
        .unwrap()
        .flatten()
        .filter_map(|it| {
            let to = fs::read_link(it.path()).ok()?;
            (to != folder).then(|| format!("{} -> {}", it.file_name().display(), to.display()))
        });
    children.chain(open).collect()
}

/// Runs a test with a limit, one at a time, and sees to it that it leaves nothing behind. The thread
/// that looks after children, with its two descriptors, goes a second after the last of them.
fn within(secs: u64, body: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    support::within(secs + 20, move || {
        let before = census();
        support::within(secs, body);
        until_none_of(|| census().difference(&before).cloned().collect());
    });
}

fn until_none_of(left: impl Fn() -> Vec<String>) {
    let end = Instant::now() + Duration::from_secs(10);
    while !left().is_empty() {
        assert!(Instant::now() < end, "left behind: {:?}", left());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The state letter of a process; none for one that is gone.
fn letter(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

fn runs(pid: u32) -> bool {
    letter(pid).is_some_and(|it| it != 'Z')
}

fn warnings(job: &Job<String>) -> Vec<String> {
    let records = job.records().into_iter();
    records
        .filter(|it| it.level == Level::Warning)
        .map(|it| it.text)
        .collect()
}

fn fails(options: ProgramOptions) -> JobError {
    let job = program_job(options);
    assert_eq!(job.wait(), JobState::Failed);
    job.join().unwrap_err()
}

#[test]
fn the_census_sees_what_is_left() {
    within(30, || {
        let before = census();
        let file = fs::File::open("/dev/null").unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        until(|| letter(pid) == Some('Z'));
        let now = census();
        let new: Vec<_> = now.difference(&before).collect();
        assert!(new.iter().any(|it| it.contains("true) Z")), "{new:?}");
        assert!(new.iter().any(|it| it.ends_with("/dev/null")), "{new:?}");
        child.wait().unwrap();
        drop(file);
    });
}

#[test]
fn lines_come_as_they_are_written_and_the_last_needs_no_end() {
    within(30, || {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        let script =
            "echo one; until [ -e \"$1\" ]; do sleep 0.01; done; echo; printf 'two\\r\\nthree'";
        let options = shell(script)
            .args(["sh".as_ref(), go.as_os_str()])
            .name("lines");
        let line = line!() + 1;
        let job = program_job(options);
        let mut lines = job.iter();
        assert_eq!(lines.next().unwrap(), "one");
        assert_eq!((job.state(), job.name()), (JobState::Running, "lines"));
        assert_eq!(job.command(), format!("start_job! at {}:{line}", file!()));
        assert!(runs(job.location().process().unwrap()));
        fs::write(&go, "").unwrap();
        assert_eq!(lines.collect::<Vec<_>>(), ["", "two", "three"]);
        assert_eq!(job.state(), JobState::Completed);
        assert!(job.records().is_empty());
    });
}

#[test]
fn the_macro_says_it_in_one_line() {
    within(30, || {
        let line = line!() + 1;
        let job = start_job!(
            file = "sh",
            args = ["-c", "echo $A; pwd"],
            env = [("A", "1")],
            current_dir = "/",
            name = "n"
        );
        assert_eq!((job.wait(), job.name()), (JobState::Completed, "n"));
        assert_eq!(job.location().source().line(), line);
        assert_eq!(job.receive(), ["1", "/"]);
    });
}

#[test]
fn what_a_program_is_given_is_what_it_gets() {
    within(30, || {
        let folder = tempfile::tempdir().unwrap();
        let script = "pwd -P; echo \"$ONE-$TWO\"; cat; echo \"$0 $1\"; echo $(($RUNSPACE_DEPTH))";
        let options = shell(script)
            .args(["name", "a 'b' $c *"])
            .env([("ONE", "1"), ("TWO", "2")])
            .env([("TWO", "3")])
            .current_dir(folder.path());
        let place = folder.path().canonicalize().unwrap();
        let lines = program_job(options).iter().collect::<Vec<_>>();
        assert_eq!(
            lines,
            [place.to_str().unwrap(), "1-3", "name a 'b' $c *", "1"]
        );
        // The program finds the name it was called by.
        let link = folder.path().join("called");
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        let job = program_job(ProgramOptions::new(&link).args(["-c", "echo $0"]));
        assert_eq!(job.join().unwrap(), link.to_str().unwrap());
    });
}

#[test]
fn a_code_fails_the_job_with_what_it_said_last() {
    within(30, || {
        let job = program_job(shell("echo out; echo first >&2; echo last >&2; exit 3"));
        assert_eq!(job.wait(), JobState::Failed);
        assert_eq!(warnings(&job), ["first", "last"]);
        assert_eq!(job.receive(), ["out"]);
        let pid = job.location().process().unwrap();
        let error = job.join().unwrap_err();
        let JobErrorKind::Process(process) = error.kind() else {
            panic!("{error}")
        };
        let crash = process.crash().unwrap();
        assert_eq!((crash.exit(), crash.pid()), (Exit::Code(3), pid));
        assert_eq!(crash.stderr(), ["first", "last"]);
        let text = error.to_string();
        assert!(
            text.contains("exited with code 3") && text.contains("    last"),
            "{text}"
        );
    });
}

#[test]
fn a_signal_fails_the_job_by_its_name() {
    within(30, || {
        let error = fails(shell("kill -SEGV $$"));
        let text = error.to_string();
        assert!(text.contains("was killed by SIGSEGV"), "{text}");
        let JobErrorKind::Process(process) = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(
            process.crash().unwrap().exit().signal_name(),
            Some("SIGSEGV")
        );
    });
}

#[test]
fn bytes_that_are_no_text_and_lines_that_are_long_arrive() {
    within(60, || {
        let job = program_job(shell(
            "printf 'a\\377b\\n'; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo y",
        ));
        assert_eq!(job.wait(), JobState::Completed);
        let lines = job.receive();
        assert_eq!(lines[0], "a\u{fffd}b");
        assert_eq!(lines.last().unwrap(), "y");
        let pieces = &lines[1..lines.len() - 1];
        let (last, cut) = pieces.split_last().unwrap();
        let cut: Vec<_> = cut
            .iter()
            .map(|it| it.strip_suffix(" (line goes on)").unwrap())
            .collect();
        let long = cut.concat() + last;
        assert_eq!(
            (long.len(), long.replace('x', "").as_str()),
            (3_000_000, "")
        );
        assert!(cut.len() > 1 && lines.iter().all(|it| it.len() < 1_100_000));
        let warnings = warnings(&job);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("in pieces"), "{warnings:?}");
        // Much of it at once, all of it, in order.
        let job = program_job(ProgramOptions::new("seq").args(["100000"]));
        assert!(job.iter().eq((1..=100_000).map(|n: u32| n.to_string())));
    });
}

#[test]
fn a_stop_is_polite_first() {
    within(30, || {
        let job = program_job(shell(
            "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done",
        ));
        assert_eq!(job.iter().next().unwrap(), "up");
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert_eq!(job.receive(), ["bye"]);
        assert!(job.join().unwrap_err().is_stopped());
    });
}

#[test]
fn a_stop_ends_the_deaf_and_all_of_their_group() {
    within(30, || {
        let script = "trap '' TERM; sleep 100 & echo $!; wait; while :; do sleep 0.1; done";
        let job = program_job(shell(script).grace(Duration::from_millis(200)));
        let child: u32 = job.iter().next().unwrap().parse().unwrap();
        let pid = job.location().process().unwrap();
        let began = Instant::now();
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert!(began.elapsed() < Duration::from_secs(5));
        until(|| !runs(pid) && !runs(child));
    });
}

#[test]
fn a_held_program_stays_where_it_is_and_can_be_stopped() {
    within(30, || {
        let job = program_job(shell(
            "n=0; while :; do n=$((n+1)); echo $n; sleep 0.005; done",
        ));
        assert!(job.iter().next().is_some());
        let pid = job.location().process().unwrap();
        job.suspend().unwrap();
        assert_eq!(job.state(), JobState::Suspended);
        // A shell that has lent its memory to a process it is just making waits for that one.
        until(|| matches!(letter(pid), Some('T' | 'D')));
        std::thread::sleep(Duration::from_millis(50));
        job.receive();
        assert!(throughout(Duration::from_millis(200), || !job.has_more_data()));
        job.resume().unwrap();
        assert_eq!(job.state(), JobState::Running);
        assert!(job.iter().nth(3).is_some());
        job.suspend().unwrap();
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        let error = job.suspend().unwrap_err();
        assert!(error.to_string().contains("has ended"), "{error}");
        assert!(job.resume().is_err());
    });
}

#[test]
fn a_program_that_takes_too_long_is_ended() {
    within(30, || {
        let error = fails(shell("echo up; sleep 100").timeout(Duration::from_millis(100)));
        assert!(
            error.to_string().contains("took longer than 100ms"),
            "{error}"
        );
        let JobErrorKind::Process(process) = error.kind() else {
            panic!("{error}")
        };
        assert!(process.is_timeout());
        let job = program_job(shell("echo up").timeout(Duration::MAX));
        assert_eq!(job.join().unwrap(), "up");
    });
}

#[test]
fn what_a_program_leaves_in_its_group_ends_with_it() {
    within(30, || {
        let job = program_job(shell("sleep 100 & echo $!"));
        assert_eq!(
            job.wait_timeout(Duration::from_secs(10)),
            Some(JobState::Completed)
        );
        let pid: u32 = job.join().unwrap().parse().unwrap();
        until(|| !runs(pid));
    });
}

#[test]
fn a_daemon_that_keeps_stdout_open_holds_nothing_up() {
    within(30, || {
        let script = "setsid sh -c 'echo $$; exec sleep 100' & sleep 0.2; echo done";
        let job = program_job(shell(script));
        assert_eq!(
            job.wait_timeout(Duration::from_secs(10)),
            Some(JobState::Completed)
        );
        let lines = job.receive();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1], "done");
        let pid: i32 = lines[0].parse().unwrap();
        assert!(runs(pid.unsigned_abs()));
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
}

#[test]
fn a_program_that_cannot_run_is_named_with_the_reason() {
    within(30, || {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let script = |name: &str, text: &str, mode| {
            fs::write(path(name), text).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        script("text", "#!/bin/sh\n", 0o644);
        script("orphan", "#!/no/such/interpreter\n", 0o755);
        let says = |options: ProgramOptions, words: &[&str]| {
            let error = fails(options);
            let JobErrorKind::Process(process) = error.kind() else {
                panic!("{error}")
            };
            assert!(process.crash().is_none());
            let text = error.to_string();
            assert!(words.iter().all(|it| text.contains(it)), "{text}");
        };
        let search = folder.path().to_str().unwrap();
        let own = std::env::var("PATH").unwrap();
        says(
            ProgramOptions::new("no-such-program"),
            &["`no-such-program`", "PATH", &own],
        );
        // The search path of the program is what counts.
        says(
            ProgramOptions::new("sh").env([("PATH", search)]),
            &["`sh`", "PATH", search],
        );
        says(
            ProgramOptions::new(path("none")),
            &["there is no program", "/none`"],
        );
        says(
            ProgramOptions::new(path("text")),
            &["/text` cannot be run", "execute"],
        );
        says(ProgramOptions::new(folder.path()), &["not a file"]);
        says(
            ProgramOptions::new(path("orphan")),
            &["/orphan`", "interpreter"],
        );
        says(ProgramOptions::new(""), &["names no program"]);
        says(
            ProgramOptions::new("echo").args(["a\0b"]),
            &["echo` was not started", "zero byte"],
        );
        says(
            shell("true").current_dir(path("none")),
            &["working directory", "/none`"],
        );
    });
}

#[test]
fn a_program_is_stopped_with_the_job_that_started_it() {
    within(30, || {
        let outer = start_thread_job!({
            let inner = program_job(shell("echo up; exec sleep 100"));
            assert_eq!(inner.iter().next().unwrap(), "up");
            runspace::record(Level::Information, "up");
            inner.wait()
        });
        until(|| !outer.records().is_empty());
        outer.stop();
        assert_eq!(outer.wait(), JobState::Stopped);
        assert_eq!(outer.receive(), [JobState::Stopped]);
        // What starts after the stop does not start at all.
        let outer = start_thread_job!({
            while !runspace::stopping() {
                std::thread::yield_now();
            }
            let inner = program_job(shell("echo up"));
            (inner.state(), inner.location().process())
        });
        until(|| outer.state() == JobState::Running);
        outer.stop();
        outer.wait();
        assert_eq!(outer.receive(), [(JobState::Stopped, None)]);
    });
}

#[test]
fn a_job_that_nobody_holds_runs_on_and_leaves_the_table() {
    within(30, || {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        let script = "sleep 0.1; echo into the void; echo x > \"$0\"";
        drop(program_job(
            shell(script).args([done.as_os_str()]).name("alone"),
        ));
        assert!(jobs().find("alone").is_some());
        until(|| done.exists());
        until(|| jobs().find("alone").is_none());
        let job = program_job(shell("exec sleep 100").name("gone"));
        let pid = job.location().process().unwrap();
        job.remove_force();
        assert!(jobs().find("gone").is_none());
        until(|| !runs(pid));
    });
}

#[test]
fn a_program_ends_with_the_process_that_started_it() {
    support::within(60, || {
        let test = "a_program_ends_with_the_process_that_started_it";
        let parent = in_own_process(test, || {
            // Deaf to all that can be ignored, and silent: no closed pipe would end it.
            let deaf = "trap '' TERM HUP INT; echo up; while :; do sleep 0.1; done";
            let jobs = [shell(deaf), shell("echo up; exec sleep 1000")].map(program_job);
            for job in &jobs {
                assert_eq!(job.iter().next().unwrap(), "up");
                println!("program {}.", job.location().process().unwrap());
            }
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
        });
        let killed = Instant::now();
        let pids: Vec<u32> = parent
            .out
            .split("program ")
            .skip(1)
            .map(|it| it.split_once('.').unwrap().0.parse().unwrap())
            .collect();
        assert_eq!(pids.len(), 2, "{parent:?}");
        until(|| !pids.iter().any(|it| runs(*it)));
        assert!(killed.elapsed() < Duration::from_secs(2));
    });
}

/// What a program prints as a job, and what it prints when the standard library starts it.
fn both_ways(file: &str, args: &[&str]) -> [Vec<String>; 2] {
    let options = ProgramOptions::new(file).args(args.iter().copied());
    let job = program_job(options.env([("RUNSPACE_DEPTH", "1")]));
    let other = std::process::Command::new(file)
        .args(args)
        .env("RUNSPACE_DEPTH", "1")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let expected = String::from_utf8(other.stdout).unwrap();
    let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
    assert!(expected.len() > 3, "{expected:?}");
    [job.iter().collect(), expected]
}

#[test]
fn a_program_has_what_it_would_have_from_the_standard_library() {
    support::within(60, || {
        let test = "a_program_has_what_it_would_have_from_the_standard_library";
        let ended = in_own_process(test, || {
            handle_signals();
            let script = "env | sort; ls /proc/$$/fd; pwd; umask; ulimit -a; echo $0";
            let [lines, expected] = both_ways("sh", &["-c", script]);
            assert_eq!(lines, expected);
            let status = ["-E", "^(Sig|NoNewPrivs|Cap|Uid|Gid)", "/proc/self/status"];
            let sets = both_ways("grep", &status);
            let [lines, expected] = sets.map(|it| {
                let held = it.iter().filter(|it| !it.starts_with("SigBlk:"));
                held.map(|it| without_own_signals(it)).collect::<Vec<_>>()
            });
            assert_eq!(lines, expected);
            let ignored = lines.iter().find(|it| it.starts_with("SigIgn:"));
            assert!(
                ignored.unwrap().ends_with(['1', '3', '5', '7']),
                "SIGHUP is not ignored: {lines:?}"
            );
            // Which signals the thread that starts children holds back is nobody's plan: none.
            let [lines, _] = both_ways("grep", &status);
            assert!(
                lines.contains(&"SigBlk:\t0000000000000000".to_owned()),
                "{lines:?}"
            );
        });
        ended.well();
    });
}

/// Without the two signals that C libraries use among themselves, which not all of them hide.
fn without_own_signals(line: &str) -> String {
    match line.split_once(":\t") {
        Some((name, set)) if name.starts_with("Sig") && set.len() == 16 => {
            let set = u64::from_str_radix(set, 16).unwrap() & !(0b11 << 31);
            format!("{name}:\t{set:016x}")
        }
        _ => line.to_owned(),
    }
}

/// SIGHUP ignored, SIGUSR1 handled, SIGUSR2 held back.
fn handle_signals() {
    #![allow(unsafe_code)]
    unsafe extern "C" {
        fn signal(number: i32, action: usize) -> usize;
        fn sigprocmask(how: i32, set: *const [u64; 16], before: *mut [u64; 16]) -> i32;
    }
    extern "C" fn nothing(_: i32) {}
    let handler = nothing as extern "C" fn(i32);
    let mut set = [0_u64; 16];
    set[0] = 1 << 11;
    // SAFETY: the handler does nothing; the set is of the size that C libraries on Linux use.
    unsafe {
        signal(1, 1);
        signal(10, handler as usize);
        sigprocmask(0, &set, std::ptr::null_mut());
    }
}

#[test]
fn a_process_without_standard_streams_starts_programs_that_have_them() {
    support::within(60, || {
        let test = "a_process_without_standard_streams_starts_programs_that_have_them";
        let ended = in_own_process(test, || {
            let kept = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 10).unwrap();
            close_standard_streams();
            for _ in 0..3 {
                let job = program_job(shell("cat; echo out; echo err >&2; exit 4"));
                assert_eq!(job.wait(), JobState::Failed);
                assert_eq!(job.receive(), ["out"]);
                assert_eq!(warnings(&job), ["err"]);
            }
            rustix::io::write(&kept, b"all three\n").unwrap();
        });
        assert!(ended.well().out.contains("all three"));
    });
}

fn close_standard_streams() {
    #![allow(unsafe_code)]
    unsafe extern "C" {
        fn close(number: i32) -> i32;
    }
    for number in 0..3 {
        // SAFETY: nothing in the process counts on them from here on.
        unsafe { close(number) };
    }
}

#[test]
fn many_programs_leave_nothing() {
    within(120, || {
        let before = census();
        for round in 0..10_u32 {
            let all: Vec<_> = (0..20_u32)
                .map(|n| {
                    (
                        n,
                        program_job(
                            shell("echo $0; exit $1")
                                .args([n.to_string(), (n % 2 * round).to_string()]),
                        ),
                    )
                })
                .collect();
            for (n, job) in all {
                let ended = if n % 2 * round == 0 {
                    JobState::Completed
                } else {
                    JobState::Failed
                };
                assert_eq!(job.wait(), ended);
                assert_eq!(job.receive(), [n.to_string()]);
            }
        }
        until_none_of(|| census().difference(&before).cloned().collect());
        assert!(jobs().is_empty());
    });
}
