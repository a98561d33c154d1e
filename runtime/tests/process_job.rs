//! `start_job!`: a block in a process of its own, with no set-up call: these tests are libtest's.

#![cfg(all(target_os = "linux", feature = "process"))]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use runspace::{Exit, Job, JobErrorKind, JobState, Level, start_job};
use support::census::{is_alive, process_error};
use support::{until, within};

/// Starts a program that outlives its parent, unless someone ends it; answers its number.
fn sleeper() -> u32 {
    std::process::Command::new("sleep")
        .arg("1000")
        .spawn()
        .unwrap()
        .id()
}

#[test]
fn a_block_runs_in_another_process_and_answers_its_value() {
    within(60, || {
        let (a, b) = (6, String::from("7"));
        let job = start_job!(name = "product", using(a, b.clone()), {
            (std::process::id(), a * b.parse::<i32>().unwrap())
        });
        assert_eq!(job.name(), "product");
        assert_eq!(job.wait(), JobState::Completed);
        let pid = job.location().process().unwrap();
        let text = job.location().to_string();
        assert!(text.ends_with(&format!("(process {pid})")), "{text}");
        assert_eq!(job.join().unwrap(), (pid, 42));
        assert_ne!(pid, std::process::id());
        assert_eq!(b, "7");
    });
}

#[test]
fn statements_alone_will_do_and_question_marks_stay_inside() {
    within(60, || {
        let job = start_job! {
            let text = "x";
            let parsed = text.parse::<i32>().map_err(|it| it.to_string())?;
            Ok::<i32, String>(parsed)
        };
        assert!(job.join().unwrap().unwrap_err().contains("invalid digit"));
    });
}

#[test]
fn each_job_has_a_process_of_its_own_and_one_after_the_other_is_quick() {
    within(60, || {
        let pids: std::collections::HashSet<u32> = (0..20)
            .map(|_| start_job!({ std::process::id() }).join().unwrap())
            .collect();
        assert_eq!(pids.len(), 20);
    });
}

#[test]
fn outputs_arrive_while_the_job_runs() {
    within(60, || {
        let job = start_job!(using(count = 3), |job| {
            for n in 0..count {
                job.emit((job.id(), job.name().to_owned(), n));
            }
            while !job.stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let first: Vec<(u64, String, i32)> = job.iter().take(3).collect();
        assert_eq!(job.state(), JobState::Running);
        assert_eq!(first[2], (job.id(), job.name().to_owned(), 2));
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
    });
}

#[test]
fn lines_and_notes_become_records_and_corrupt_nothing() {
    within(60, || {
        let job = start_job!(|job| {
            println!("to stdout");
            eprintln!("to stderr");
            job.verbose("a note");
            print!("no line break");
            job.emit(vec![b'\n'; 3]);
        });
        assert_eq!(job.wait(), JobState::Completed);
        let records: Vec<_> = job
            .records()
            .into_iter()
            .map(|it| (it.level, it.text))
            .collect();
        for expected in [
            (Level::Information, "to stdout"),
            (Level::Warning, "to stderr"),
            (Level::Verbose, "a note"),
            (Level::Information, "no line break"),
        ] {
            let found = records.iter().any(|it| (it.0, &*it.1) == expected);
            assert!(found, "{expected:?} is not in {records:?}");
        }
        assert_eq!(job.receive(), [vec![b'\n'; 3]]);
    });
}

#[test]
fn a_panic_is_told_with_its_place() {
    within(60, || {
        let line = line!() + 1;
        let job: Job<()> = start_job!({ panic!("gone {}", 1) });
        let error = job.join().unwrap_err();
        assert!(matches!(error.kind(), JobErrorKind::Panicked(_)));
        let text = error.to_string();
        assert!(
            text.contains("gone 1") && text.contains(&format!("process_job.rs:{line}")),
            "{text}"
        );
    });
}

#[test]
fn a_crash_is_named_and_brings_the_last_lines() {
    within(60, || {
        let error = process_error::<()>(start_job!({
            eprintln!("about to go");
            std::process::abort()
        }));
        let crash = error.crash().unwrap();
        assert_eq!(crash.exit().signal_name(), Some("SIGABRT"));
        assert!(crash.pid() > 0);
        assert!(error.to_string().contains("about to go"), "{error}");
        let error = process_error::<u8>(start_job!({ std::process::exit(3) }));
        assert_eq!(error.crash().unwrap().exit(), Exit::Code(3));
        // Leaving without a result is no success.
        let error = process_error::<u8>(start_job!({ std::process::exit(0) }));
        assert_eq!(error.crash().unwrap().exit(), Exit::Code(0));
    });
}

#[test]
fn a_stack_overflow_costs_that_job_only() {
    within(60, || {
        #[allow(unconditional_recursion)]
        fn down(depth: &[u8; 4096]) -> u8 {
            std::hint::black_box(down(std::hint::black_box(depth))) + depth[0]
        }
        let error = process_error(start_job!({ down(&[1; 4096]) }));
        assert!(
            error.crash().unwrap().exit().signal_name().is_some(),
            "{error}"
        );
        assert_eq!(start_job!({ 1 }).join().unwrap(), 1);
    });
}

#[test]
fn a_kill_from_outside_is_told_as_one() {
    within(60, || {
        let job: Job<u8> = start_job!({
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        until(|| job.location().process().is_some());
        let pid = job.location().process().unwrap();
        let killed = std::process::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .status();
        assert!(killed.unwrap().success());
        let error = process_error(job);
        assert_eq!(error.crash().unwrap().exit().signal_name(), Some("SIGKILL"));
        assert!(!is_alive(pid));
    });
}

#[test]
fn a_stop_is_real_and_takes_the_whole_group() {
    within(60, || {
        let job = start_job!(|job| {
            job.emit(sleeper());
            loop {
                std::thread::sleep(Duration::from_secs(1)); // never looks at `stopping`
            }
        });
        let grandchild = job.iter().next().unwrap();
        let pid = job.location().process().unwrap();
        let start = Instant::now();
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(start.elapsed() < Duration::from_secs(20));
        until(|| !is_alive(pid) && !is_alive(grandchild));
    });
}

#[test]
fn a_body_that_ignores_sigterm_is_killed_after_its_grace() {
    within(60, || {
        let job: Job<()> = start_job!(grace = Duration::from_millis(100), {
            let _ = std::process::Command::new("sh")
                .args(["-c", "trap '' TERM; sleep 1000"])
                .status();
        });
        until(|| job.location().process().is_some());
        let pid = job.location().process().unwrap();
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        until(|| !is_alive(pid));
    });
}

#[test]
fn suspending_holds_the_process() {
    within(60, || {
        let job = start_job!(|job| {
            for n in 0_u64.. {
                job.emit(n);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        assert!(job.iter().next().is_some());
        job.suspend().unwrap();
        assert_eq!(job.state(), JobState::Suspended);
        std::thread::sleep(Duration::from_millis(50));
        job.receive();
        std::thread::sleep(Duration::from_millis(100));
        assert!(job.receive().is_empty(), "it goes on although it is held");
        job.resume().unwrap();
        assert!(job.iter().next().is_some());
        job.suspend().unwrap();
        job.stop(); // reaches one that is held, too
        assert_eq!(job.wait(), JobState::Stopped);
        assert!(job.suspend().is_err());
    });
}

#[test]
fn options_reach_the_child() {
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let expected = folder.path().canonicalize().unwrap();
        let job = start_job!(
            env = [("RUNSPACE_TEST", "1")],
            current_dir = folder.path(),
            open_files = 50,
            {
                let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
                let files = limits
                    .lines()
                    .find(|it| it.starts_with("Max open files"))
                    .unwrap();
                let here = std::env::current_dir().unwrap();
                (
                    std::env::var("RUNSPACE_TEST").ok(),
                    here,
                    files.split_whitespace().nth(3).unwrap().to_owned(),
                )
            }
        );
        let (variable, here, files) = job.join().unwrap();
        assert_eq!(variable.as_deref(), Some("1"));
        assert_eq!(here, expected);
        assert_eq!(files, "50");
        // The next one is started where this process is.
        let here = start_job!({ std::env::current_dir().unwrap() })
            .join()
            .unwrap();
        assert_eq!(here, std::env::current_dir().unwrap());
    });
}

#[test]
fn limits_are_kept() {
    within(60, || {
        let error = process_error(start_job!(memory = 300 << 20, {
            std::hint::black_box(vec![1_u8; 1 << 30]).len()
        }));
        assert!(error.crash().is_some(), "{error}");
        let error = process_error::<()>(start_job!(timeout = Duration::from_millis(200), {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }));
        assert!(error.is_timeout(), "{error}");
        let error = process_error::<()>(start_job!(cpu_time = Duration::from_millis(500), {
            loop {
                std::hint::spin_loop();
            }
        }));
        assert!(error.to_string().contains("SIGXCPU"), "{error}");
    });
}

#[test]
fn a_value_that_cannot_be_read_back_fails_the_job_in_words() {
    within(60, || {
        #[derive(Debug)]
        struct OneWay;
        impl serde::Serialize for OneWay {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(1)
            }
        }
        impl<'de> serde::Deserialize<'de> for OneWay {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Err(serde::de::Error::custom("only one way"))
            }
        }
        let it = OneWay;
        let error = process_error(start_job!(using(it), {
            let _ = it;
            1
        }));
        assert!(error.to_string().contains("only one way"), "{error}");
        let error = process_error(start_job!({ OneWay }));
        assert!(error.to_string().contains("only one way"), "{error}");
        assert_eq!(start_job!({ 1 }).join().unwrap(), 1);
    });
}

#[test]
fn a_grandchild_that_holds_the_pipes_keeps_no_result_back() {
    within(30, || {
        let job = start_job!({ sleeper() });
        let grandchild = job.join().unwrap();
        let _ = std::process::Command::new("kill")
            .args(["-9", &grandchild.to_string()])
            .status();
    });
}

#[test]
fn a_job_in_a_job() {
    within(60, || {
        let job = start_job!({
            let inner = start_job!({ std::process::id() });
            (std::process::id(), inner.join().unwrap())
        });
        let (outer, inner) = job.join().unwrap();
        assert_ne!(outer, inner);
    });
}

#[test]
fn a_large_value_comes_through_whole() {
    within(60, || {
        let bytes: Vec<u8> = (0..20_000_000_u32).map(|it| it as u8).collect();
        let sent = bytes.clone();
        let job = start_job!(using(sent), { sent.into_iter().rev().collect::<Vec<u8>>() });
        assert!(job.join().unwrap().into_iter().rev().eq(bytes));
    });
}

#[test]
fn a_dropped_job_leaves_nothing_when_its_parent_goes() {
    if std::env::var_os("A_PARENT_THAT_IS_KILLED").is_some() {
        let job = start_job!(|job| {
            job.emit(std::process::id());
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        let pid = job.iter().next().unwrap();
        println!("child {pid}.");
        std::process::Command::new("kill")
            .args(["-9", &std::process::id().to_string()])
            .status()
            .unwrap();
        unreachable!("killed");
    }
    within(60, || {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_dropped_job_leaves_nothing_when_its_parent_goes",
                "--nocapture",
            ])
            .env("A_PARENT_THAT_IS_KILLED", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pid = text
            .split("child ")
            .nth(1)
            .and_then(|it| it.split('.').next());
        let pid: u32 = pid.unwrap_or_else(|| panic!("{text}")).parse().unwrap();
        until(|| !is_alive(pid));
    });
}

#[test]
fn the_executable_may_go_while_it_runs() {
    if std::env::var_os("A_COPY_THAT_IS_DELETED").is_some() {
        let own = std::env::current_exe().unwrap();
        std::fs::remove_file(&own).unwrap();
        assert!(!Path::new(&own).exists());
        assert_eq!(start_job!({ 5 }).join().unwrap(), 5);
        return;
    }
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let status = std::process::Command::new(&copy)
            .args(["--exact", "the_executable_may_go_while_it_runs"])
            .env("A_COPY_THAT_IS_DELETED", "1")
            .status()
            .unwrap();
        assert!(status.success());
    });
}
