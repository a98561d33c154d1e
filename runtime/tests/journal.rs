//! A journal: what it holds, and that what is finished is not run again, whatever ended the run before.

#![cfg(feature = "journal")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runspace::{Cause, ItemError, Journal, JournalErrorKind, foreach_parallel};
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

fn kind(error: &ItemError) -> &JournalErrorKind {
    match error.cause() {
        Cause::Journal(error) => error.kind(),
        _ => panic!("{error}"),
    }
}

/// Doubles, and counts how often.
fn doubled(input: Vec<u64>, path: &Path) -> (Vec<u64>, u64) {
    let runs = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&runs);
    let mut all: Vec<u64> = foreach_parallel!(
        input,
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
        assert_eq!(doubled(vec![1, 2, 3], &path).1, 3);
        let results = foreach_parallel!([2_u64, 4], journal = &path, resume = true, |n| n * 2);
        let journal = results.journal();
        assert_eq!(results.sum::<u64>(), 12);
        assert_eq!(journal.resumed(), 1);
        assert_eq!(journal.missing().len(), 2);
        let end = lines(&path).pop().unwrap();
        assert_eq!((&end["resumed"], &end["missing"]), (&1.into(), &2.into()));
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
        assert!(matches!(kind(&error), JournalErrorKind::OtherCall(name) if name == "first"));
    });
}

#[cfg(unix)]
#[test]
fn two_runs_at_once_do_not_share_a_journal() {
    within(60, || {
        let (_folder, path) = journal();
        let mut first = foreach_parallel!(0_u64.., throttle = 1, journal = &path, |n| n);
        assert!(first.next().is_some());
        let outcomes = foreach_parallel!([1_u64], journal = &path, resume = true, |n| n).outcomes();
        let error = refused(outcomes.collect());
        assert!(matches!(kind(&error), JournalErrorKind::InUse), "{error}");
        first.stop();
        foreach_parallel!([1_u64], journal = &path, resume = true, |n| n).wait();
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

/// A limit on the size of files is a disk that is full soon, for this one process.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_becomes_full_costs_no_result_and_is_told() {
    const MARK: &str = "SMALL_FILES";
    if std::env::var_os(MARK).is_some() {
        return within(60, || {
            let (_folder, path) = journal();
            let outcomes =
                foreach_parallel!(0..200_u64, throttle = 2, journal = &path, |n| n).outcomes();
            let (good, bad): (Vec<_>, Vec<_>) = outcomes.partition(Result::is_ok);
            assert_eq!((good.len(), bad.len()), (200, 1));
            let error = bad.into_iter().next().unwrap().unwrap_err();
            assert!(
                matches!(kind(&error), JournalErrorKind::Write(_)),
                "{error}"
            );
            // What is there can be gone on with.
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.lines().count() > 2);
            fs::write(&path, &text[..text.len().min(3000)]).unwrap();
            let results = foreach_parallel!(0..4_u64, journal = &path, resume = true, |n| n);
            let journal = results.journal();
            assert_eq!(results.outcomes().filter(Result::is_ok).count(), 4);
            assert!(journal.resumed() > 0);
        });
    }
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_disk_that_becomes_full_costs_no_result_and_is_told",
        ])
        .env(MARK, "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_value_that_json_would_change_is_not_kept() {
    within(60, || {
        let (_folder, path) = journal();
        for _ in 0..2 {
            let results =
                foreach_parallel!([1.0, f64::NAN], journal = &path, resume = true, |x| Some(x));
            let journal = results.journal();
            let before = tries(&path).len() as u64;
            let outcomes: Vec<_> = results.outcomes().collect();
            assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 2);
            let error = outcomes[2].as_ref().unwrap_err();
            assert!(
                matches!(kind(error), JournalErrorKind::Value { index: 1, .. }),
                "{error}"
            );
            assert_eq!(journal.resumed(), before.min(1));
        }
    });
}

#[test]
fn a_value_of_another_type_is_told_with_its_line() {
    within(60, || {
        let (_folder, path) = journal();
        foreach_parallel!([7_u64], journal = &path, |n| n.to_string()).wait();
        let mut outcomes =
            foreach_parallel!([7_u64], journal = &path, resume = true, |n| n).outcomes();
        let error = outcomes.next().unwrap().unwrap_err();
        assert_eq!(error.index(), Some(0));
        assert!(
            matches!(kind(&error), JournalErrorKind::Stored { line: 2, .. }),
            "{error}"
        );
        assert!(outcomes.next().is_none());
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
        until(|| {
            ended = program.try_wait().unwrap();
            ended.is_some() || (kills < 4 && path.exists() && done_lines(&path) >= before + 40)
        });
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
