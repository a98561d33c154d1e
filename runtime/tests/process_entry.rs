//! How a process becomes a worker, however its program was started: never `main` once more, and never without end.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::ffi::{c_char, c_int};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use runspace::{foreach_parallel, start_job};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use support::{in_changed_process, in_own_process, within};

/// The variable that marks a worker.
const MARKER: &str = "RUNSPACE_CHILD";
/// Set where the constructor below starts a job.
const EARLY: &str = "STARTS_JOBS_EARLY";
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// Has a test run through the loader, in `folder`, where no more than 100 processes of its user can be: a fault here
/// multiplies. The limit binds no root, so the test runs as a user that has nothing else.
fn through_loader(command: &mut Command, folder: &std::path::Path, program: &str) {
    const UNUSED: u32 = 54_321;
    let mut other = Command::new("bash");
    other
        .args(["-c", "ulimit -u 100; exec \"$@\"", "bash", LOADER])
        .args(["--library-path", "/nonexistent", program])
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        other.env(name, value.unwrap_or_default());
    }
    other.current_dir(folder);
    if rustix::process::geteuid().is_root() {
        other.uid(UNUSED).gid(UNUSED);
    }
    *command = other;
}

fn runs_all_kinds_of_work() {
    assert_eq!(start_job!({ 1 + 1 }).join().unwrap(), 2);
    // The next come from copies of a worker, and one more level down.
    for n in 0..3_u32 {
        let job = start_job!(using(n), {
            start_job!(using(n), { n * 2 }).join().unwrap()
        });
        assert_eq!(job.join().unwrap(), n * 2);
    }
    let items = foreach_parallel!(0..20_u64, on = process, throttle = 2, |n| n);
    assert_eq!(items.sum::<u64>(), 190);
    let line = start_job!(
        file = "sh",
        args = ["-c", "echo $RUNSPACE_DEPTH $RUNSPACE_CHILD."]
    );
    assert_eq!(line.join().unwrap(), "1 .");
    // Through a loader the name is the path of the program.
    let args = start_job!({ std::env::args_os().skip(1).collect::<Vec<_>>() });
    assert!(
        args.join()
            .unwrap()
            .into_iter()
            .eq(std::env::args_os().skip(1))
    );
}

#[test]
fn a_program_that_runs_through_the_dynamic_loader_has_workers() {
    within(120, || {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), all).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), folder.path().join("prog")).unwrap();
        let name = "a_program_that_runs_through_the_dynamic_loader_has_workers";
        let change = |command: &mut Command| through_loader(command, folder.path(), "./prog");
        in_changed_process(name, change, || {
            let executable = std::fs::read_link("/proc/self/exe").unwrap();
            assert!(executable.to_string_lossy().contains("ld-linux"));
            // The path that the loader was given leads nowhere from here.
            std::env::set_current_dir("/").unwrap();
            runs_all_kinds_of_work();
        })
        .well();
    });
}

#[test]
fn a_program_without_arguments_and_variables_has_workers() {
    within(120, || {
        let name = "a_program_without_arguments_and_variables_has_workers";
        in_own_process(name, runs_all_kinds_of_work).well();
    });
}

#[used]
#[unsafe(link_section = ".init_array.00200")]
#[allow(unsafe_code)]
static BEFORE: unsafe extern "C" fn(c_int, *mut *mut c_char, *mut *mut c_char) = before;

/// # Safety
/// As the loader calls constructors.
#[allow(unsafe_code)]
unsafe extern "C" fn before(_: c_int, _: *mut *mut c_char, _: *mut *mut c_char) {
    if std::env::var_os(EARLY).is_none() {
        return;
    }
    let job = start_job!({ 7 });
    job.wait();
    for record in job.records().iter() {
        eprintln!("its worker said: {}", record.text);
    }
    match job.join() {
        Ok(value) => eprintln!("early: {value}"),
        Err(error) => eprintln!("early, refused: {error}"),
    }
    let program = start_job!(file = "echo", args = ["x"]).join();
    eprintln!("early program: {}", program.is_ok());
}

#[test]
fn a_constructor_that_starts_jobs_has_them_and_its_workers_are_refused_more() {
    within(120, || {
        let name = "a_constructor_that_starts_jobs_has_them_and_its_workers_are_refused_more";
        // Should the refusal be missing, ten levels of jobs are the end of it.
        let early = |command: &mut Command| {
            command.env(EARLY, "1");
        };
        let ended = in_changed_process(name, early, || {
            let job = start_job!({ std::process::id() });
            assert_ne!(job.join().unwrap(), std::process::id());
        })
        .well();
        assert!(ended.err.contains("early: 7"), "{}", ended.err);
        assert!(ended.err.contains("early program: true"), "{}", ended.err);
        for refused in [
            "early, refused: ",
            "a constructor of the program",
            "early program: false",
        ] {
            let line = ended.err.lines().find(|it| it.contains(refused));
            let line = line.unwrap_or_else(|| panic!("{refused}: {}", ended.err));
            assert!(line.starts_with("its worker said: "), "{line}");
        }
        assert!(!ended.err.contains("levels of jobs"), "{}", ended.err);
    });
}

#[test]
fn a_marker_of_another_process_makes_no_worker() {
    within(60, || {
        let list = |marker: &str, input: Stdio| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let command = command.arg("--list").env(MARKER, marker).stdin(input);
            command.output().unwrap()
        };
        for marker in [
            "1:3:0",
            "nonsense",
            "",
            "1:2",
            "4294967295:4294967295:18446744073709551615",
        ] {
            let output = list(marker, Stdio::null());
            assert!(output.status.success(), "{marker}: {output:?}");
        }
        // With a channel it was a worker, and its parent is gone.
        let kind = SocketType::STREAM;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        let output = list("1:3:0", theirs.into());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{said}");
        assert!(said.contains("its parent is gone"), "{said}");
        drop(ours);
    });
}
