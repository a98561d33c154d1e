use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Failure;
use super::super::child::{Exit, Patience, Stream};
use super::super::place::place;
use super::super::testing::{
    Census, Kept, all, children, eventually, run, runs, start, start_emitting, value, within,
};
use super::Event;

/// Ends this process by `signal`, sent from outside of Rust.
fn die_by(signal: &str) {
    let own = std::process::id().to_string();
    let _ = Command::new("kill").args(["-s", signal, &own]).status();
    std::thread::sleep(Duration::from_secs(60));
}

fn crash<T: std::fmt::Debug>(result: Result<T, Failure>) -> super::super::child::Crash {
    match result {
        Err(Failure::Crashed(crash)) => crash,
        other => panic!("no crash but {other:?}"),
    }
}

#[test]
fn a_body_runs_in_another_process_and_its_value_comes_back() {
    within(60, || {
        let (pid, text) = run((7, "seven".to_owned()), |(n, text): (i32, String)| {
            (std::process::id(), format!("{n} {text}"))
        })
        .unwrap();
        assert_eq!(text, "7 seven");
        assert_ne!(pid, std::process::id());
    });
}

#[test]
fn every_job_has_a_process_of_its_own() {
    within(60, || {
        let mut pids: Vec<u32> = (0..20)
            .map(|_| run((), |()| std::process::id()).unwrap())
            .collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 20);
    });
}

#[test]
fn a_panic_comes_with_its_message_and_place() {
    within(60, || {
        let lines = Arc::new(Kept::default());
        let line = line!() + 1;
        let mut running = start(3, |n: i32| assert!(n > 3, "only {n}"), &lines).unwrap();
        let failure = value(&mut running).unwrap_err();
        let Failure::Panicked(panicked) = &failure else {
            panic!("{failure:?}");
        };
        assert_eq!(panicked.message, "only 3");
        let place = panicked.location.as_deref().unwrap();
        assert!(place.contains(&format!("tests.rs:{line}:")), "{place}");
        // It is told on stderr as any panic is.
        let told = lines.of(Stream::Err).join("\n");
        assert!(told.contains("only 3"), "{told}");
    });
}

#[test]
fn a_panic_with_any_payload_is_told() {
    within(60, || {
        let failure = run((), |()| -> u8 { std::panic::panic_any(5_u8) }).unwrap_err();
        assert!(failure.to_string().contains("not a string"), "{failure}");
        let failure = run((), |()| -> u8 {
            std::panic::resume_unwind(Box::new("again"))
        })
        .unwrap_err();
        assert_eq!(failure.to_string(), "panicked: again");
    });
}

#[test]
fn exits_are_told_by_code() {
    within(60, || {
        for code in [0, 3] {
            let crash = crash(run(code, |code: i32| -> u8 { std::process::exit(code) }));
            assert_eq!(crash.exit(), Exit::Code(code));
            assert_ne!(crash.pid(), std::process::id());
        }
        let text = run((), |()| -> u8 { std::process::exit(0) })
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("exited with code 0 before its result"),
            "{text}"
        );
    });
}

#[test]
fn signals_are_told_by_name_with_the_last_words() {
    within(60, || {
        let result = run((), |()| -> u8 {
            eprintln!("first");
            eprint!("last words");
            std::process::abort()
        });
        let crash_of_abort = crash(result);
        assert_eq!(crash_of_abort.exit().signal_name(), Some("SIGABRT"));
        assert_eq!(crash_of_abort.stderr(), ["first", "last words"]);
        // Not one of those that a program started by `nohup` ignores.
        for name in ["KILL", "SEGV", "TERM", "USR2", "BUS", "XCPU"] {
            let crash = crash(run(name.to_owned(), |name: String| die_by(&name)));
            assert_eq!(crash.exit().signal_name().unwrap(), format!("SIG{name}"));
            let text = crash.to_string();
            assert_eq!(
                text.contains("maybe because memory ran out"),
                name == "KILL",
                "{text}"
            );
        }
    });
}

#[test]
fn a_real_fault_and_a_stack_overflow_end_their_process_only() {
    #[allow(unconditional_recursion)]
    fn deep(n: u64) -> u64 {
        let here = std::hint::black_box([n; 64]);
        deep(n + 1) + here[(n % 64) as usize]
    }
    within(60, || {
        let overflow = crash(run(0, deep));
        assert!(matches!(
            overflow.exit().signal_name(),
            Some("SIGSEGV" | "SIGABRT")
        ));
        let fault = crash(run((), |()| {
            #[allow(unsafe_code)]
            // SAFETY: none; this is the fault that is wanted.
            unsafe {
                std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1);
            }
        }));
        // Debug builds look at the pointer first.
        assert!(matches!(
            fault.exit().signal_name(),
            Some("SIGSEGV" | "SIGABRT")
        ));
    });
}

#[test]
fn what_is_printed_becomes_lines_and_harms_nothing() {
    within(60, || {
        let lines = Arc::new(Kept::default());
        let body = |()| {
            println!("one");
            print!("two\nthree");
            eprintln!("four");
            let mut out = std::io::stdout();
            out.write_all(&[0xff, b'\r', b'\n']).unwrap();
            out.write_all(&[b'x'; 100_000]).unwrap();
            7
        };
        let mut running = start((), body, &lines).unwrap();
        assert_eq!(value(&mut running).unwrap(), 7);
        let out = lines.of(Stream::Out);
        assert_eq!(out[..3], ["one", "two", "three\u{fffd}"]);
        let rest = out[3..].concat();
        eventually("the rest of a line without an end", || {
            lines.of(Stream::Out)[3..].concat().len() == 100_000
        });
        assert!(rest.len() <= 100_000 && out[3].len() >= 64 << 10);
        assert_eq!(lines.of(Stream::Err), ["four"]);
    });
}

#[test]
fn closed_standard_streams_do_not_matter() {
    within(60, || {
        let value = run((), |()| {
            let _ = Command::new("true").status();
            for number in 0..3 {
                #[allow(unsafe_code)]
                // SAFETY: nothing in this body counts on the standard streams.
                drop(unsafe {
                    <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number)
                });
            }
            5
        });
        assert_eq!(value.unwrap(), 5);
    });
}

#[test]
fn a_body_sees_nothing_on_standard_input_and_the_arguments_of_its_parent() {
    within(60, || {
        let (input, args) = run((), |()| {
            let input = std::io::read_to_string(std::io::stdin()).unwrap();
            (input, std::env::args().collect::<Vec<_>>())
        })
        .unwrap();
        assert_eq!(input, "");
        assert_eq!(args, std::env::args().collect::<Vec<_>>());
    });
}

#[test]
fn a_child_has_only_the_descriptors_it_should() {
    fn open() -> std::collections::BTreeMap<String, std::path::PathBuf> {
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let names = all.map(|it| (it.file_name().into_string().unwrap(), it.path()));
        names
            .map(|(name, path)| (name, std::fs::read_link(path).unwrap_or_default()))
            .collect()
    }
    within(60, || {
        // The first is started from the file, the second is a copy.
        for _ in 0..2 {
            let own = open();
            let mut there = run((), |()| open()).unwrap();
            // What whoever started the tests has left open for all to inherit.
            there.retain(|name, to| own.get(name) != Some(to));
            // Three standard ones, the two of the channel, the parent, and the directory that is read.
            assert!((4..=7).contains(&there.len()), "{there:?}");
            // What a worker needs is out of the way of bodies that close the lowest, or expect to be given them.
            let low = |name: &String| (3..20).contains(&name.parse::<u32>().unwrap());
            let ours = there
                .iter()
                .filter(|(name, to)| low(name) && !to.starts_with("/proc"));
            assert_eq!(ours.count(), 0, "{there:?}");
            eventually("a spare", || place().spares.ready() > 0);
        }
    });
}

#[test]
fn outputs_come_while_the_body_runs() {
    within(60, || {
        let mut running = start_emitting(3, |n: u32, job| {
            (0..n).for_each(|it| job.emit(it));
            job.note(2, "enough");
            while !job.stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
            job.emit(99);
        })
        .unwrap();
        for wanted in 0..3 {
            assert!(matches!(running.next(), Event::Output(n) if n == wanted));
        }
        let Event::Note(note) = running.next() else {
            panic!("no note");
        };
        assert_eq!((note.level, note.text.as_str()), (2, "enough"));
        running.handle().stop(Patience::DEFAULT);
        let (rest, end) = all(&mut running);
        assert!(rest.is_empty(), "{rest:?}");
        assert!(matches!(end, Err(Failure::Stopped)), "{end:?}");
    });
}

#[test]
fn a_body_that_does_not_look_is_terminated() {
    within(60, || {
        let mut running = start(
            (),
            |()| std::thread::sleep(Duration::from_secs(600)),
            &Arc::default(),
        )
        .unwrap();
        let start = Instant::now();
        running.handle().stop(Patience::DEFAULT);
        assert!(matches!(value(&mut running), Err(Failure::Stopped)));
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn a_body_that_ignores_everything_is_killed_with_what_it_started() {
    within(60, || {
        let mut running = start_emitting((), |(), job| {
            let script = "trap '' TERM; sleep 600 & trap '' TERM; echo $!; wait; wait";
            let mut shell = Command::new("sh");
            let shell = shell
                .args(["-c", script])
                .stdout(std::process::Stdio::piped());
            let mut shell = shell.spawn().unwrap();
            let mut line = String::new();
            let mut out = std::io::BufReader::new(shell.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut out, &mut line).unwrap();
            job.emit(shell.id());
            job.emit(line.trim().parse::<u32>().unwrap());
            loop {
                let _ = shell.wait();
            }
        })
        .unwrap();
        let mut pids = vec![running.handle().pid()];
        for _ in 0..2 {
            match running.next() {
                Event::Output(pid) => pids.push(pid),
                other => panic!("{other:?}"),
            }
        }
        assert!(pids.iter().all(|it| runs(*it)), "{pids:?}");
        let patience = Patience {
            asked: Duration::from_millis(10),
            terminated: Duration::from_millis(100),
        };
        running.handle().stop(patience);
        assert!(matches!(value(&mut running), Err(Failure::Stopped)));
        eventually("the end of the whole group", || {
            !pids.iter().any(|it| runs(*it))
        });
    });
}

#[test]
fn dropping_a_running_body_ends_it() {
    within(60, || {
        let running = start(
            (),
            |()| std::thread::sleep(Duration::from_secs(600)),
            &Arc::default(),
        )
        .unwrap();
        let pid = running.handle().pid();
        assert!(runs(pid));
        drop(running);
        eventually("its end", || !runs(pid));
    });
}

#[test]
fn a_held_body_goes_on_where_it_was_and_can_be_stopped() {
    fn state(pid: u32) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }
    within(60, || {
        let mut running = start_emitting((), |(), job| {
            for n in 0_u64.. {
                job.emit(n);
                std::thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
        let handle = running.handle().clone();
        assert!(matches!(running.next(), Event::Output(0)));
        assert!(handle.suspend());
        eventually("the state of a held process", || state(handle.pid()) == 'T');
        assert!(handle.resume());
        eventually("the state of a process that goes on", || {
            state(handle.pid()) != 'T'
        });
        assert!(matches!(running.next(), Event::Output(1)));
        assert!(handle.suspend());
        handle.stop(Patience::DEFAULT);
        let (_, end) = all(&mut running);
        assert!(matches!(end, Err(Failure::Stopped)), "{end:?}");
        eventually("its end", || handle.has_ended());
        assert!(!handle.suspend() && !handle.resume());
    });
}

#[test]
#[expect(
    clippy::zombie_processes,
    reason = "the test is about what outlives the job"
)]
fn a_result_does_not_wait_for_a_grandchild_that_holds_the_pipes() {
    within(60, || {
        let start_time = Instant::now();
        let escaped = run((), |()| {
            let mut sleep = Command::new("setsid");
            let sleep = sleep.args(["sleep", "600"]).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            sleep.id()
        })
        .unwrap();
        assert!(start_time.elapsed() < Duration::from_secs(20));
        // It has left the group, as a daemon does, and is let live.
        let found = || {
            let own = std::fs::read_dir("/proc").unwrap().flatten();
            own.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok())
                .filter(|pid| {
                    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    line == b"sleep\x00600\x00"
                })
                .collect::<Vec<_>>()
        };
        for pid in found() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        eventually("the end of the escaped one", || {
            !runs(escaped) && found().is_empty()
        });
    });
}

#[test]
fn what_a_body_leaves_in_its_group_goes_with_it() {
    within(60, || {
        let left = run((), |()| {
            Command::new("sleep").arg("600").spawn().unwrap().id()
        })
        .unwrap();
        eventually("its end", || !runs(left));
    });
}

#[test]
fn values_that_do_not_cross_are_errors_with_the_reason() {
    #[derive(Debug)]
    struct Fussy<const WRITE: bool, const READ: bool>;
    impl<const W: bool, const R: bool> serde::Serialize for Fussy<W, R> {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            if W {
                to.serialize_u8(1)
            } else {
                Err(serde::ser::Error::custom("not this one"))
            }
        }
    }
    impl<'de, const W: bool, const R: bool> serde::Deserialize<'de> for Fussy<W, R> {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            u8::deserialize(from)?;
            if R {
                Ok(Self)
            } else {
                Err(serde::de::Error::custom("nor that one"))
            }
        }
    }
    within(60, || {
        let failure = run(Fussy::<false, true>, |_| ()).unwrap_err();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::Write(_)), "{failure:?}");
        assert!(
            text.contains("captured values") && text.contains("not this one"),
            "{text}"
        );

        let failure = run(Fussy::<true, false>, |_| ()).unwrap_err();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::There(_)), "{failure:?}");
        assert!(
            text.contains("captured values") && text.contains("nor that one"),
            "{text}"
        );

        let failure = run((), |()| Fussy::<false, true>).unwrap_err();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::There(_)), "{failure:?}");
        assert!(
            text.contains("output") && text.contains("not this one"),
            "{text}"
        );

        let failure = run((), |()| Fussy::<true, false>).unwrap_err();
        let text = failure.to_string();
        assert!(matches!(failure, Failure::Read(_)), "{failure:?}");
        assert!(
            text.contains("output") && text.contains("nor that one"),
            "{text}"
        );
    });
}

#[test]
fn long_payloads_cross_both_ways() {
    within(120, || {
        let bytes: Vec<u8> = (0..20_000_003_u32).map(|it| it as u8).collect();
        let back = run((1_u8, bytes.clone()), |(_, mut bytes): (u8, Vec<u8>)| {
            bytes.reverse();
            bytes
        });
        assert!(back.unwrap().iter().rev().eq(&bytes));
    });
}

#[test]
fn a_death_in_the_middle_of_a_long_result_is_a_crash() {
    within(60, || {
        let failure = run((), |()| {
            std::thread::spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                die_by("KILL");
            });
            vec![1_u8; 3 << 30]
        })
        .unwrap_err();
        let Failure::Crashed(crash) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(crash.exit().signal_name(), Some("SIGKILL"));
    });
}

#[test]
fn a_body_that_becomes_another_program_is_ended() {
    within(60, || {
        let failure = run((), |()| -> u8 {
            use std::os::unix::process::CommandExt;
            let error = Command::new("sleep").arg("600").exec();
            panic!("{error}")
        })
        .unwrap_err();
        assert!(matches!(failure, Failure::Crashed(_)), "{failure:?}");
    });
}

#[test]
fn jobs_start_jobs_down_to_a_limit() {
    fn nest(depth: u32) -> Result<u32, String> {
        match run(depth + 1, nest) {
            Ok(deepest) => deepest,
            Err(Failure::TooDeep(_)) => Ok(depth),
            Err(other) => Err(other.to_string()),
        }
    }
    within(120, || {
        assert_eq!(nest(0).unwrap(), super::super::link::MOST_DEPTH);
    });
}

#[test]
fn a_process_that_was_forked_starts_jobs_of_its_own() {
    within(60, || {
        // So that there are threads and spares that the fork does not have.
        run((), |()| ()).unwrap();
        let inner = run((), |()| {
            run((), |()| ()).unwrap();
            #[allow(unsafe_code)]
            // SAFETY: what the fork does is what is tried here: it may only fail.
            let pid = unsafe { fork() };
            if pid == 0 {
                let ok = run(20, |n: i32| n + 1).is_ok_and(|it| it == 21);
                #[allow(unsafe_code)]
                // SAFETY: it ends the process.
                unsafe {
                    _exit(if ok { 42 } else { 1 })
                }
            }
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let (_, status) =
                rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
                    .unwrap()
                    .unwrap();
            status.exit_status()
        });
        assert_eq!(inner.unwrap(), Some(42));
    });
    #[allow(unsafe_code)]
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(code: i32) -> !;
    }
}

#[test]
fn the_parents_death_ends_everything() {
    within(60, || {
        // A job stands in for the parent: it starts a job that starts a program, and is killed.
        let mut running = start_emitting((), |(), job| {
            let mut inner = start_emitting((), |(), job| {
                job.emit(Command::new("sleep").arg("600").spawn().unwrap().id());
                std::thread::sleep(Duration::from_secs(600));
            })
            .unwrap();
            job.emit(inner.handle().pid());
            if let Event::Output(pid) = inner.next() {
                job.emit(pid);
            }
            std::thread::sleep(Duration::from_secs(600));
        })
        .unwrap();
        let mut pids = vec![];
        for _ in 0..2 {
            match running.next() {
                Event::Output(pid) => pids.push(pid),
                other => panic!("{other:?}"),
            }
        }
        assert!(pids.iter().all(|it| runs(*it)));
        let start = Instant::now();
        let parent = running.handle().pid();
        let _ = Command::new("kill")
            .args(["-9", &parent.to_string()])
            .status();
        assert!(value(&mut running).is_err());
        eventually("the end of the orphans", || {
            !pids.iter().any(|it| runs(*it))
        });
        assert!(start.elapsed() < Duration::from_secs(2));
    });
}

#[test]
fn spares_are_handed_out_replaced_and_gone() {
    within(60, || {
        let shelf = &place().spares;
        run((), |()| ()).unwrap();
        eventually("a spare", || shelf.ready() > 0);
        let spares = children();
        let pid = run((), |()| std::process::id()).unwrap();
        let prefix = format!("process {pid} ");
        assert!(
            spares.iter().any(|it| it.starts_with(&prefix)),
            "{pid} is not in {spares:?}"
        );
        eventually("another spare", || shelf.ready() > 0);
        eventually("no spare", || shelf.ready() == 0 && children().is_empty());
    });
}

#[test]
fn a_spare_sees_the_world_as_it_is_now() {
    #[allow(unsafe_code)]
    fn set(value: &str) {
        // SAFETY: tests of this folder run one at a time, and no other thread reads this variable.
        unsafe { std::env::set_var("RUNSPACE_TEST", value) };
    }
    within(60, || {
        let shelf = &place().spares;
        let before = std::env::current_dir().unwrap();
        for round in ["a", "b"] {
            set(round);
            let place = tempfile::tempdir().unwrap();
            std::env::set_current_dir(place.path()).unwrap();
            let (variable, directory) = run((), |()| {
                (
                    std::env::var("RUNSPACE_TEST").ok(),
                    std::env::current_dir().unwrap(),
                )
            })
            .unwrap();
            std::env::set_current_dir(&before).unwrap();
            assert_eq!(variable.as_deref(), Some(round));
            assert_eq!(directory, place.path().canonicalize().unwrap());
            eventually("a spare", || shelf.ready() > 0);
        }
    });
}

#[test]
fn a_spare_that_was_killed_is_not_handed_out() {
    within(60, || {
        let shelf = &place().spares;
        for _ in 0..3 {
            run((), |()| ()).unwrap();
            eventually("a spare", || shelf.ready() > 0);
            for child in children() {
                let pid = child.split(' ').nth(1).unwrap().to_owned();
                let _ = Command::new("kill").args(["-9", &pid]).status();
                // Until it is reaped: a process may be called dead with a thread of it still there.
                let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists();
                eventually("its death", gone);
            }
            assert_eq!(run(1, |n: i32| n).unwrap(), 1);
        }
    });
}

#[test]
fn the_census_sees_what_is_left() {
    within(60, || {
        let before = Census::take();
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut zombie = Command::new("true").spawn().unwrap();
        eventually("a zombie", || {
            children().iter().any(|it| it.ends_with("(true) Z"))
        });
        let after = Census::take();
        assert_ne!(before, after);
        drop(file);
        zombie.wait().unwrap();
        before.settles().unwrap();
    });
}

#[test]
fn jobs_do_not_share_random_numbers() {
    use std::hash::{BuildHasher, RandomState};
    within(60, || {
        let mut seen: Vec<u64> = (0..10)
            .map(|_| run((), |()| RandomState::new().hash_one(1_u8)).unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10);
    });
}
