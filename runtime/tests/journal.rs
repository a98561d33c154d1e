//! A journal: what it holds, and that what is finished is not run again, whatever ended the run before.

#![cfg(feature = "journal")]

mod support;

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runspace::{Cause, Halt, ItemError, Journal, JournalErrorKind, foreach_parallel};
use serde_json::Value;
use support::{until, within};
use tempfile::TempDir;

fn journal() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    (folder, path)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of tries.
fn tries(path: &Path) -> Vec<Value> {
    let mut tries = lines(path);
    tries.retain(|it| it["event"] == "item");
    tries
}

/// The one failure of a call, which is one of its journal.
fn refused(outcomes: Vec<Result<u64, ItemError>>) -> ItemError {
    let mut outcomes = outcomes.into_iter();
    let error = outcomes.next().unwrap().unwrap_err();
    assert!(outcomes.next().is_none());
    assert!(matches!(error.cause(), Cause::Journal(_)), "{error}");
    error
}

/// What has happened to the journal, when its text has been looked at: it names the file, and what the
/// system has said.
fn kind(error: &ItemError) -> &JournalErrorKind {
    let Cause::Journal(error) = error.cause() else {
        panic!("{error}");
    };
    let text = error.to_string();
    assert!(text.contains(&*error.path().to_string_lossy()), "{text}");
    match (error.kind(), error.source()) {
        (JournalErrorKind::Open(_) | JournalErrorKind::Write(_), said) => {
            let said = said.expect("the system has said something").to_string();
            assert!(text.contains(&said), "{text}");
        }
        (_, said) => assert!(said.is_none(), "{text}"),
    }
    error.kind()
}

/// Doubles, and counts how often.
fn doubled(input: Vec<u64>, path: &Path) -> (Vec<u64>, u64) {
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    let mut all: Vec<u64> = foreach_parallel!(
        input,
        name = "doubled",
        throttle = 3,
        journal = path,
        resume = true,
        using(runs),
        |n| {
            runs.fetch_add(1, Ordering::SeqCst);
            n * 2
        }
    )
    .collect();
    all.sort_unstable();
    (all, seen.load(Ordering::SeqCst))
}

#[test]
fn each_try_is_a_line() {
    within(60, || {
        let (_folder, path) = journal();
        let results = foreach_parallel!(
            [1_u64, 2, 3],
            throttle = 1,
            name = "numbers",
            journal = &path,
            retry = 1,
            |n| match (n, runspace::attempt()) {
                (1, _) => Ok("one".to_owned()),
                (2, 1) => panic!("not yet"),
                (2, _) => Ok("two".to_owned()),
                _ => Err("never".to_owned()),
            }
        );
        assert_eq!(results.outcomes().count(), 3);
        let all = lines(&path);
        assert_eq!(all[0]["event"], "run");
        assert_eq!(all[0]["name"], "numbers");
        assert_eq!(all[0]["crate"], env!("CARGO_PKG_VERSION"));
        let end = all.last().unwrap();
        assert_eq!((&end["event"], &end["done"]), (&"end".into(), &2.into()));
        assert_eq!(end["failed"], 1);
        let tries = tries(&path);
        assert_eq!(tries.len(), 5);
        for line in &tries {
            assert_eq!(line["run"], all[0]["run"]);
            assert_eq!(line["item"].as_str().unwrap().len(), 32);
            assert!(line["start"].as_f64().unwrap() > 1.6e9);
            assert!(line["wall"].as_f64().unwrap() >= 0.0);
            assert!(line["worker"].as_str().unwrap().starts_with("thread "));
        }
        let of = |index: u64, attempt: u64| {
            let mut found = tries
                .iter()
                .filter(|it| it["index"] == index && it["attempt"] == attempt);
            found.next().unwrap()
        };
        assert_eq!(of(0, 1)["outcome"], "done");
        assert_eq!(of(0, 1)["value"]["Ok"], "one");
        assert_eq!(of(1, 1)["outcome"], "panicked");
        assert_eq!(of(1, 1)["again"], true);
        assert!(of(1, 1)["error"].as_str().unwrap().contains("not yet"));
        assert_eq!(of(1, 2)["value"]["Ok"], "two");
        assert_eq!(of(2, 1)["outcome"], "failed");
        assert_eq!(of(2, 2)["outcome"], "failed");
        assert_eq!(of(2, 2)["value"]["Err"], "never");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn processor_time_is_that_of_the_item() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([false, true], journal = &path, |works| {
            let until = std::time::Instant::now() + Duration::from_millis(200);
            while works && std::time::Instant::now() < until {
                std::hint::black_box(0);
            }
        })
        .wait();
        let tries = tries(&path);
        let cpu = |index: u64| {
            let line = tries.iter().find(|it| it["index"] == index).unwrap();
            line["cpu"].as_f64().unwrap()
        };
        assert!(cpu(0) < cpu(1), "{tries:?}");
    });
}

#[test]
fn items_are_known_by_their_content_and_counted() {
    within(60, || {
        let (_folder, path) = journal();
        assert_eq!(doubled(vec![1, 2, 2, 3], &path), (vec![2, 4, 4, 6], 4));
        // Another order, another number of each, one that is new.
        assert_eq!(
            doubled(vec![3, 2, 9, 2, 2, 1], &path),
            (vec![2, 4, 4, 4, 6, 18], 2)
        );
        assert_eq!(
            doubled(vec![9, 2, 2, 2, 3, 1], &path),
            (vec![2, 4, 4, 4, 6, 18], 0)
        );
    });
}

#[test]
fn what_the_input_has_lost_is_told() {
    within(60, || {
        let (_folder, path) = journal();
        let halved = |input: Vec<u64>, may_change: bool| {
            let journal = Journal::new(&path).may_change(may_change);
            foreach_parallel!(input, throttle = 1, journal = journal, resume = true, |n| n
                / 2)
        };
        assert_eq!(halved(vec![2, 4, 6], false).sum::<u64>(), 6);
        // As many as there were, and one of them is another: it runs, and the error comes behind it.
        let results = halved(vec![2, 8, 6], false);
        let journal = results.journal();
        let mut outcomes: Vec<_> = results.outcomes().collect();
        let error = outcomes.pop().unwrap().unwrap_err();
        assert_eq!(
            outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [1, 4, 3]
        );
        assert!(
            matches!(kind(&error), JournalErrorKind::Missing { lines } if *lines == [3]),
            "{error}"
        );
        assert!(
            error.to_string().contains("1 item that is finished") && error.index().is_none(),
            "{error}"
        );
        assert_eq!((journal.resumed(), journal.missing()), (2, vec![3]));
        let end = lines(&path).pop().unwrap();
        assert_eq!((&end["resumed"], &end["missing"]), (&2.into(), &1.into()));
        // Plain reading raises it, behind all values.
        let mut results = halved(vec![2, 8, 6, 10], false);
        let mut seen = 0;
        let raised = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            results.by_ref().for_each(|_| seen += 1);
        }));
        assert_eq!(seen, 4);
        let text = *raised.unwrap_err().downcast::<String>().unwrap();
        assert!(
            text.contains("its input has changed") && text.contains("(line 3)"),
            "{text}"
        );
        // One who means it is not told.
        let results = halved(vec![2, 8], true);
        let journal = results.journal();
        assert_eq!(results.count(), 2);
        assert_eq!((journal.resumed(), journal.missing().len()), (2, 3));
        // New items alone are none of that.
        assert_eq!(halved(vec![2, 4, 6, 8, 10, 12], false).count(), 6);
    });
}

#[test]
fn a_call_that_has_not_seen_all_of_its_input_misses_nothing() {
    within(60, || {
        for halts in [true, false] {
            let (_folder, path) = journal();
            assert_eq!(doubled((0..9).collect(), &path).1, 9);
            let halt = Halt::soon().done(if halts { 2 } else { 1000 });
            let mut results = foreach_parallel!(
                (0..9_u64).map(|n| n + 20),
                name = "doubled",
                throttle = 1,
                buffer = 1,
                halt = halt,
                journal = Journal::new(&path).may_change(false),
                resume = true,
                |n| n
            );
            if halts {
                let told = |it| matches!(it, Err(ref error) if matches!(ItemError::cause(error), Cause::Journal(_)));
                assert!(!results.outcomes().any(told));
            } else {
                assert!(results.next().is_some());
                results.stop();
            }
        }
    });
}

#[test]
fn an_input_that_has_fewer_items_than_are_finished_is_refused_before_anything_runs() {
    within(60, || {
        let (_folder, path) = journal();
        assert_eq!(doubled(vec![1, 2, 2], &path).1, 3);
        let before = fs::read(&path).unwrap();
        let run = |may_change: bool| {
            let ran = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&ran);
            let outcomes = foreach_parallel!(
                [2_u64, 3],
                name = "doubled",
                journal = Journal::new(&path).may_change(may_change),
                resume = true,
                using(ran),
                |n| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    n * 2
                }
            )
            .outcomes();
            let outcomes: Vec<_> = outcomes.collect();
            (outcomes, seen.load(Ordering::SeqCst))
        };
        let (outcomes, ran) = run(false);
        let error = refused(outcomes);
        assert!(
            matches!(
                kind(&error),
                JournalErrorKind::FewerItems {
                    finished: 3,
                    now: 2
                }
            ),
            "{error}"
        );
        assert_eq!(ran, 0);
        assert_eq!(fs::read(&path).unwrap(), before);
        let (outcomes, ran) = run(true);
        assert!(outcomes.into_iter().all(|it| it.is_ok()));
        assert_eq!(ran, 1);
    });
}

#[test]
fn values_of_another_version_are_refused() {
    within(60, || {
        let (_folder, path) = journal();
        let run = |version: Option<&str>| {
            let journal = Journal::new(&path);
            let journal = match version {
                Some(version) => journal.version(version),
                None => journal.may_change(true),
            };
            let results = foreach_parallel!([1_u64], journal = journal, resume = true, |n| n);
            results.outcomes().collect::<Vec<_>>()
        };
        for _ in 0..2 {
            assert!(run(Some("one")).iter().all(Result::is_ok));
        }
        for (other, now) in [(Some("two"), "not `two`"), (None, "not none")] {
            let error = refused(run(other));
            assert!(matches!(
                kind(&error),
                JournalErrorKind::OtherVersion { .. }
            ));
            let text = error.to_string();
            assert!(
                text.contains("of version `one`") && text.contains(now),
                "{text}"
            );
        }
    });
}

#[test]
fn a_call_without_a_name_is_known_by_its_place() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([1_u64], journal = &path, |n| n).wait();
        let line = line!() - 1;
        let outcomes = foreach_parallel!([1_u64], journal = &path, resume = true, |n| n).outcomes();
        let error = refused(outcomes.collect());
        assert!(
            matches!(kind(&error), JournalErrorKind::OtherCall(_)),
            "{error}"
        );
        let place = format!("another call, that at {}:{line}:", file!());
        assert!(error.to_string().contains(&place), "{error}");
        // A program that was changed since has the call in another line, and perhaps in another file.
        let text = fs::read_to_string(&path).unwrap();
        let run = lines(&path)[0]["run"].as_str().unwrap().to_owned();
        let text = text.replace(&run, "0123456789abcdef");
        let here = format!("{}:{line}:", file!());
        for (place, may_change, goes) in [
            (format!("{}:1:", file!()), false, true),
            ("src/other.rs:1:".to_owned(), false, false),
            ("src/other.rs:1:".to_owned(), true, true),
        ] {
            fs::write(&path, text.replace(&here, &place)).unwrap();
            let journal = Journal::new(&path).may_change(may_change);
            let results = foreach_parallel!([1_u64], journal = journal, resume = true, |n| n);
            let resumed = results.journal();
            let outcomes: Vec<_> = results.outcomes().collect();
            assert_eq!(resumed.resumed(), u64::from(goes), "{place} {may_change}");
            if !goes {
                let error = refused(outcomes);
                assert!(error.to_string().contains("src/other.rs:1:"), "{error}");
            }
        }
    });
}

#[test]
fn what_has_failed_is_run_again() {
    within(60, || {
        let (_folder, path) = journal();
        let run = |good: bool| {
            let path = path.clone();
            let results = foreach_parallel!(
                0..6_u64,
                ordered = true,
                journal = path,
                resume = true,
                using(good),
                |n| {
                    assert!(good || n != 4, "four");
                    if good || n != 2 {
                        Ok(n)
                    } else {
                        Err("two".to_owned())
                    }
                }
            );
            let journal = results.journal();
            let good = results.outcomes().filter(|it| matches!(it, Ok(Ok(_))));
            (good.count(), journal.resumed())
        };
        assert_eq!(run(false), (4, 0));
        assert_eq!(run(true), (6, 4));
        assert_eq!(run(true), (6, 6));
    });
}

#[test]
fn an_earlier_run_is_not_mixed_with_another() {
    within(60, || {
        let (_folder, path) = journal();
        assert_eq!(doubled(vec![1], &path).1, 1);
        let before = fs::read(&path).unwrap();
        let outcomes = foreach_parallel!([1_u64], journal = &path, |n| n).outcomes();
        let error = refused(outcomes.collect());
        assert!(matches!(kind(&error), JournalErrorKind::Exists));
        assert!(error.to_string().contains("`resume = true`"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    });
}

#[test]
fn the_journal_of_another_call_is_refused() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([1_u64], name = "first", journal = &path, |n| n).wait();
        let outcomes = foreach_parallel!(
            [1_u64],
            name = "second",
            journal = &path,
            resume = true,
            |n| n
        )
        .outcomes();
        let error = refused(outcomes.collect());
        assert!(
            matches!(kind(&error), JournalErrorKind::OtherCall(call) if call.starts_with("`first` ("))
        );
    });
}

#[cfg(unix)]
#[test]
fn two_runs_at_once_do_not_share_a_journal() {
    within(60, || {
        let (_folder, path) = journal();
        let run = |input: std::ops::Range<u64>| {
            let journal = Journal::new(&path).may_change(true);
            foreach_parallel!(input, throttle = 1, journal = journal, resume = true, |n| n)
        };
        let mut first = run(0..u64::MAX);
        assert!(first.next().is_some());
        let error = refused(run(1..2).outcomes().collect());
        assert!(matches!(kind(&error), JournalErrorKind::InUse), "{error}");
        first.stop();
        run(1..2).wait();
    });
}

#[test]
fn a_line_that_is_none_is_named_and_the_file_left_alone() {
    within(60, || {
        let (_folder, path) = journal();
        assert_eq!(doubled(vec![1, 2], &path).1, 2);
        let text = fs::read_to_string(&path).unwrap();
        let mut bad: Vec<&str> = text.lines().collect();
        bad.insert(2, "{\"event\":\"it");
        let bad = bad.join("\n") + "\n";
        fs::write(&path, &bad).unwrap();
        let outcomes = foreach_parallel!([1_u64], journal = &path, resume = true, |n| n).outcomes();
        let error = refused(outcomes.collect());
        assert!(
            error.to_string().contains("line 3 of its journal"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    });
}

#[test]
fn a_torn_last_line_is_passed_over_wherever_it_is_torn() {
    within(120, || {
        let (_folder, path) = journal();
        assert_eq!(doubled(vec![1, 2, 3], &path).1, 3);
        let whole = fs::read(&path).unwrap();
        let ends = whole.iter().enumerate().filter(|it| *it.1 == b'\n');
        let ends: Vec<usize> = ends.map(|it| it.0 + 1).collect();
        // The line of the third item, in all its lengths.
        for cut in (ends[2]..=ends[3]).step_by(5) {
            fs::write(&path, &whole[..cut]).unwrap();
            let left = if cut + 1 >= ends[3] { 0 } else { 1 };
            assert_eq!(
                doubled(vec![1, 2, 3], &path),
                (vec![2, 4, 6], left),
                "{cut}"
            );
            assert_eq!(doubled(vec![1, 2, 3], &path).1, 0, "{cut}");
            assert_eq!(tries(&path).len(), 3, "{cut}");
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_no_result_and_is_told() {
    within(60, || {
        // Its first line is refused already: nothing starts.
        let outcomes = foreach_parallel!(0..9_u64, journal = "/dev/full", |n| n).outcomes();
        let error = refused(outcomes.collect());
        assert!(matches!(kind(&error), JournalErrorKind::Open(_)), "{error}");
    });
}

/// Runs this test once more, in a process in which a file that is too large is an error, not a signal.
#[cfg(target_os = "linux")]
fn where_files_are_small(name: &str, body: impl FnOnce()) {
    let change = |command: &mut Command| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        *command = shell;
    };
    support::in_changed_process(name, change, body).well();
}

/// No file can become larger than this from here on, in this process: a disk that is full soon.
#[cfg(target_os = "linux")]
fn limit_files(bytes: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |bytes| Rlimit {
        current: Some(bytes),
        maximum: None,
    };
    setrlimit(Resource::Core, limit(0)).unwrap();
    setrlimit(Resource::Fsize, limit(bytes)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_becomes_full_costs_no_result_and_is_told() {
    within(60, || {
        let name = "a_disk_that_becomes_full_costs_no_result_and_is_told";
        where_files_are_small(name, || {
            limit_files(16 << 10);
            let (_folder, path) = journal();
            let outcomes =
                foreach_parallel!(0..200_u64, name = "n", throttle = 2, journal = &path, |n| n)
                    .outcomes();
            let (good, bad): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
            assert_eq!((good.len(), bad.len()), (200, 1));
            let error = bad.into_iter().next().unwrap().unwrap_err();
            assert!(
                matches!(kind(&error), JournalErrorKind::Write(_)),
                "{error}"
            );
            // It ends with a whole line, which is none of the end.
            let there = lines(&path);
            assert_eq!(there.last().unwrap()["event"], "item");
            let done = done_lines(&path) as u64;
            assert!(done > 10 && done < 200, "{done}");
            // The disk is still full: what is there is answered, and the rest runs.
            let ran = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&ran);
            limit_files(fs::metadata(&path).unwrap().len() + 600);
            let outcomes = foreach_parallel!(
                0..200_u64,
                name = "n",
                throttle = 2,
                journal = &path,
                resume = true,
                using(ran),
                |n| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    n
                }
            )
            .outcomes();
            let mut all: Vec<u64> = outcomes.flatten().collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..200));
            assert_eq!(seen.load(Ordering::SeqCst), 200 - done);
        });
    });
}

/// What cannot be a journal is told before anything runs.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_told_at_once() {
    use std::os::unix::fs::PermissionsExt as _;
    within(60, || {
        let folder = tempfile::tempdir().unwrap();
        let refused_at = |path: &Path| {
            let results = foreach_parallel!(0..9_u64, journal = path, resume = true, |n| n);
            let error = refused(results.outcomes().collect());
            assert!(matches!(kind(&error), JournalErrorKind::Open(_)), "{error}");
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
        };
        refused_at(folder.path());
        refused_at(&folder.path().join("none").join("run.jsonl"));
        let locked = folder.path().join("locked.jsonl");
        fs::write(&locked, "").unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o400)).unwrap();
        // Root can write to it all the same.
        if fs::OpenOptions::new().append(true).open(&locked).is_err() {
            refused_at(&locked);
        }
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn a_file_that_only_root_can_write_is_told_at_once() {
    within(60, || {
        let name = "a_file_that_only_root_can_write_is_told_at_once";
        support::in_unprivileged_process(name, || {
            let results =
                foreach_parallel!([1_u64], journal = "/etc/hostname", resume = true, |n| n);
            let error = refused(results.outcomes().collect());
            assert!(error.to_string().contains("Permission denied"), "{error}");
        })
        .well();
    });
}

/// How many items the program has that is ended in the middle of a line.
#[cfg(target_os = "linux")]
const TORN_ITEMS: u64 = 40;

/// A program that a signal ends in the middle of a write, and of a letter: its files may grow so far and no further.
#[cfg(target_os = "linux")]
fn torn_program(path: &Path) {
    use std::io::Write as _;
    let ran = path.with_extension("ran");
    let ran = fs::File::options()
        .create(true)
        .append(true)
        .open(ran)
        .unwrap();
    let length = fs::metadata(path).map_or(0, |it| it.len());
    if let Ok(more) = std::env::var("TORN_AFTER") {
        limit_files(length + more.parse::<u64>().unwrap());
    }
    let results = foreach_parallel!(
        0..TORN_ITEMS,
        throttle = 1,
        journal = path,
        resume = true,
        init(ran = ran.try_clone().unwrap()),
        using(ran),
        |n| {
            ran.write_all(format!("{n}\n").as_bytes()).unwrap();
            "é".repeat(1000)
        }
    );
    assert_eq!(results.count() as u64, TORN_ITEMS);
}

#[cfg(target_os = "linux")]
#[test]
fn an_end_in_the_middle_of_a_line_costs_that_item_alone() {
    use std::os::unix::process::ExitStatusExt as _;
    const NAME: &str = "an_end_in_the_middle_of_a_line_costs_that_item_alone";
    const MARK: &str = "JOURNAL_TO_TEAR";
    if let Some(path) = std::env::var_os(MARK) {
        return torn_program(Path::new(&path));
    }
    within(120, || {
        let (_folder, path) = journal();
        let (mut torn, mut in_a_letter) = (0, 0);
        for more in (0..24).map(|it| 2_600 + 37 * it).map(Some).chain([None]) {
            let mut program = Command::new(std::env::current_exe().unwrap());
            program
                .args(["--exact", NAME, "--nocapture"])
                .env(MARK, &path)
                .stdout(Stdio::null());
            program.envs(more.map(|it| ("TORN_AFTER", it.to_string())));
            let status = program.status().unwrap();
            let bytes = fs::read(&path).unwrap();
            if !status.success() {
                let too_large = rustix::process::Signal::XFSZ.as_raw();
                assert_eq!(status.signal(), Some(too_large), "{status}");
                torn += u64::from(!bytes.ends_with(b"\n"));
                in_a_letter += u64::from(std::str::from_utf8(&bytes).is_err());
            }
        }
        assert!(
            torn > 10 && in_a_letter > 0,
            "{torn}, {in_a_letter} in a letter"
        );
        assert_eq!(done_lines(&path) as u64, TORN_ITEMS);
        // Nothing has run twice but what was torn.
        let ran = fs::read_to_string(path.with_extension("ran")).unwrap();
        let ran = ran.lines().count() as u64;
        assert!(
            (TORN_ITEMS..=TORN_ITEMS + torn).contains(&ran),
            "{ran} runs, {torn} torn lines"
        );
    });
}

#[test]
fn a_value_that_json_would_change_is_not_kept() {
    within(60, || {
        let (_folder, path) = journal();
        for _ in 0..2 {
            let before = path.exists().then(|| tries(&path).len() as u64);
            let results =
                foreach_parallel!([1.0, f64::NAN], journal = &path, resume = true, |x| Some(x));
            let journal = results.journal();
            let outcomes: Vec<_> = results.outcomes().collect();
            assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 2);
            let error = outcomes[2].as_ref().unwrap_err();
            assert!(
                matches!(kind(error), JournalErrorKind::Value { index: 1, .. }),
                "{error}"
            );
            assert_eq!(journal.resumed(), before.unwrap_or(0).min(1));
        }
    });
}

#[test]
fn a_value_of_another_type_is_told_with_its_line() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([7_u64], name = "n", journal = &path, |n| n.to_string()).wait();
        let numbers = |journal: Journal| {
            foreach_parallel!([7_u64], name = "n", journal = journal, resume = true, |n| n)
                .outcomes()
        };
        let error = refused(numbers(Journal::new(&path)).collect());
        assert!(
            error
                .to_string()
                .contains("has values of type `alloc::string::String`, not `u64`"),
            "{error}"
        );
        let mut outcomes = numbers(Journal::new(&path).may_change(true));
        let error = outcomes.next().unwrap().unwrap_err();
        assert_eq!(error.index(), Some(0));
        assert!(
            matches!(kind(&error), JournalErrorKind::Stored { line: 2, .. }),
            "{error}"
        );
        assert!(outcomes.next().is_none());
    });
}

/// Refuses to be serialised if it is odd, and panics at 4.
#[derive(Clone)]
struct EvenOnly(u64);

impl serde::Serialize for EvenOnly {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, 4, "four has no text");
        match self.0 % 2 {
            0 => serializer.serialize_u64(self.0),
            _ => Err(serde::ser::Error::custom("odd ones have no text")),
        }
    }
}

#[test]
fn an_item_that_cannot_be_serialised_fails_alone_and_does_not_run() {
    within(60, || {
        let (_folder, path) = journal();
        let ran = Arc::new(AtomicU64::new(0));
        let input: Vec<_> = (1..=4).map(EvenOnly).collect();
        let outcomes: Vec<_> =
            foreach_parallel!(input, journal = &path, using(ran.clone()), |item| {
                ran.fetch_add(1, Ordering::SeqCst);
                item.0
            })
            .outcomes()
            .collect();
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert_eq!(outcomes.iter().flatten().collect::<Vec<_>>(), [&2]);
        let mut failed: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
        failed.sort_by_key(|it| it.index());
        let words = ["odd ones", "odd ones", "it panicked: "];
        for ((error, index), words) in failed.iter().zip([0, 2, 3]).zip(words) {
            assert_eq!(error.index(), Some(index));
            let JournalErrorKind::Item(problem) = kind(error) else {
                panic!("{error}");
            };
            assert!(problem.starts_with(words), "{problem}");
        }
        assert_eq!(failed.len(), 3);
    });
}

#[test]
fn items_of_another_type_are_refused_before_anything_runs() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([7_u64], name = "n", journal = &path, |n| n).wait();
        let words = || ["seven".to_owned()];
        let outcomes =
            foreach_parallel!(words(), name = "n", journal = &path, resume = true, |_| {
                7_u64
            })
            .outcomes();
        let error = refused(outcomes.collect());
        assert!(
            matches!(
                kind(&error),
                JournalErrorKind::OtherType { of: "items", .. }
            ),
            "{error}"
        );
        // Borrowed or not makes no difference.
        let results =
            foreach_parallel!(&[7_u64], name = "n", journal = &path, resume = true, |n| *n);
        let journal = results.journal();
        assert_eq!(results.count(), 1);
        assert_eq!(journal.resumed(), 1);
    });
}

#[test]
fn workers_that_have_nothing_to_do_are_not_set_up() {
    within(60, || {
        let (_folder, path) = journal();
        for times in [1, 0] {
            let inits = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&inits);
            let results = foreach_parallel!(
                [1_u64],
                journal = &path,
                resume = true,
                init(_one = inits.fetch_add(1, Ordering::SeqCst)),
                using(inits),
                |n| n
            );
            assert_eq!(results.count(), 1);
            assert_eq!(seen.load(Ordering::SeqCst), times);
        }
    });
}

#[test]
fn a_call_that_borrows_keeps_a_journal_too() {
    within(60, || {
        let (_folder, path) = journal();
        let words = ["a".to_owned(), "bc".to_owned()];
        for resumed in [0, 2] {
            let results = foreach_parallel!(
                &words,
                ordered = true,
                journal = Journal::new(&path).sync(true),
                resume = true,
                |word| word.len()
            );
            let journal = results.journal();
            assert!(results.eq([1, 2]));
            assert_eq!(journal.resumed(), resumed);
        }
    });
}

/// How many items the program that is killed has.
const ITEMS: u64 = 300;

/// The program that is killed: this test, started again with where its journal is.
fn killed_program(on: &str, path: PathBuf) {
    let log = path.with_extension("handed-out");
    let mut log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    let body_pause = Duration::from_millis(3);
    let results = match on {
        "thread" => foreach_parallel!(
            0..ITEMS,
            throttle = 4,
            journal = path,
            resume = true,
            using(body_pause),
            |n| {
                std::thread::sleep(body_pause);
                n * n
            }
        ),
        #[cfg(all(target_os = "linux", feature = "process"))]
        _ => foreach_parallel!(
            0..ITEMS,
            on = process,
            throttle = 2,
            journal = path,
            resume = true,
            using(body_pause),
            |n| {
                std::thread::sleep(body_pause);
                n * n
            }
        ),
        #[cfg(not(all(target_os = "linux", feature = "process")))]
        _ => unreachable!(),
    };
    for value in results {
        use std::io::Write as _;
        log.write_all(format!("{value}\n").as_bytes()).unwrap();
    }
}

fn random() -> usize {
    use std::hash::{BuildHasher as _, RandomState};
    // Each is seeded by the system.
    RandomState::new().hash_one(0) as usize
}

/// Kills the program again and again until it comes to its end; no finished item may run twice.
fn survives_kills(test: &str, on: &str) {
    const MARK: &str = "JOURNAL_TO_KILL";
    if let Some(path) = std::env::var_os(MARK) {
        return killed_program(on, path.into());
    }
    let (_folder, path) = journal();
    let handed_out = path.with_extension("handed-out");
    let mut kills = 0;
    loop {
        let before = if path.exists() { done_lines(&path) } else { 0 };
        let mut program = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(MARK, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut ended = None;
        // At a moment of its own each time.
        let few = random() % 60;
        until(|| {
            ended = program.try_wait().unwrap();
            ended.is_some() || (kills < 6 && path.exists() && done_lines(&path) >= before + few)
        });
        std::thread::sleep(Duration::from_micros(random() as u64 % 4_000));
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        program.kill().unwrap(); // SIGKILL
        program.wait().unwrap();
        kills += 1;
        // Nothing was handed out that is not in the journal.
        let log = fs::read_to_string(&handed_out).unwrap_or_default();
        let values: std::collections::BTreeSet<&str> = log.lines().collect();
        assert!(values.len() <= done_lines(&path), "{} values", values.len());
    }
    assert!(kills > 0);
    // Each item was finished once, over all runs, and the last run handed all of them out.
    assert_eq!(
        tries(&path)
            .iter()
            .filter(|it| it["outcome"] == "done")
            .count() as u64,
        ITEMS
    );
    let log = fs::read_to_string(&handed_out).unwrap();
    let mut all: Vec<u64> = log.lines().map(|it| it.parse().unwrap()).collect();
    let mut last = all.split_off(all.len() - usize::try_from(ITEMS).unwrap());
    last.sort_unstable();
    assert!(last.into_iter().eq((0..ITEMS).map(|n| n * n)));
}

/// Counted in the text: the last line may be on its way.
fn done_lines(path: &Path) -> usize {
    let text = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&text);
    text.matches("\"outcome\":\"done\"").count()
}

#[cfg(unix)]
#[test]
fn kills_of_the_program_lose_no_finished_item_on_threads() {
    within(120, || {
        survives_kills(
            "kills_of_the_program_lose_no_finished_item_on_threads",
            "thread",
        );
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn kills_of_the_program_lose_no_finished_item_on_processes() {
    within(120, || {
        survives_kills(
            "kills_of_the_program_lose_no_finished_item_on_processes",
            "process",
        );
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn a_worker_process_that_crashes_is_a_line_with_its_signal() {
    within(60, || {
        let (_folder, path) = journal();
        let outcomes = foreach_parallel!(
            0..3_u64,
            on = process,
            throttle = 1,
            retry = 1,
            journal = &path,
            |n| {
                if n == 1 {
                    std::process::abort();
                }
                n
            }
        )
        .outcomes();
        assert_eq!(outcomes.filter(Result::is_err).count(), 1);
        let tries = tries(&path);
        assert_eq!(tries.len(), 4);
        for line in tries {
            assert!(
                line["worker"].as_str().unwrap().starts_with("process "),
                "{line}"
            );
            if line["index"] == 1 {
                assert_eq!(line["outcome"], "crashed");
                assert_eq!(line["signal"], "SIGABRT");
            } else {
                assert_eq!(line["outcome"], "done");
                assert!(line["peak_memory"].as_u64().unwrap() > 0);
            }
        }
    });
}

/// Each way in which a worker process can end is told in the line of the item that it ran.
#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn each_end_of_a_worker_process_is_told_in_its_line() {
    within(60, || {
        let (_folder, path) = journal();
        let outcomes = foreach_parallel!(
            0..6_u64,
            on = process,
            throttle = 2,
            timeout = Duration::from_secs(5),
            journal = &path,
            |n| {
                match n {
                    0 => std::process::abort(),
                    1 => support::census::die(rustix::process::Signal::KILL),
                    2 => std::process::exit(3),
                    3 => panic!("on purpose"),
                    _ => n,
                }
            }
        )
        .outcomes();
        assert_eq!(outcomes.filter(Result::is_err).count(), 4);
        let tries = tries(&path);
        assert_eq!(tries.len(), 6);
        let mut workers = std::collections::BTreeSet::new();
        for line in &tries {
            let index = line["index"].as_u64().unwrap();
            let (outcome, signal, text) = match index {
                0 => ("crashed", Some("SIGABRT"), "was killed by SIGABRT"),
                1 => ("crashed", Some("SIGKILL"), "was killed by SIGKILL"),
                2 => ("crashed", None, "exited with code 3"),
                3 => ("panicked", None, "on purpose"),
                _ => ("done", None, ""),
            };
            assert_eq!(line["outcome"], outcome, "{line}");
            assert_eq!(line["signal"].as_str(), signal, "{line}");
            assert!(
                line["error"].as_str().unwrap_or("").contains(text),
                "{line}"
            );
            assert!(line["wall"].as_f64().unwrap() >= 0.0, "{line}");
            // A process that is gone cannot be asked for what it had.
            let is_gone = outcome == "crashed";
            assert_eq!(line["peak_memory"].is_null(), is_gone, "{line}");
            assert!(line["cpu"].is_null(), "{line}");
            let worker = line["worker"].as_str().unwrap();
            let pid = worker.strip_prefix("process ").unwrap();
            assert!(pid.parse::<u32>().is_ok(), "{line}");
            if is_gone {
                assert!(workers.insert(worker), "it died once: {line}");
            }
        }
    });
}
