//! `Results::report()`: what a call came to, for people and for programs.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runspace::{Timeout, foreach_parallel};
use support::{until, within};

#[test]
fn failures_of_a_kind_are_one_group_with_the_first_places() {
    within(60, || {
        // How long an item takes is noted from when somebody wants to know.
        let is_wanted = Arc::new(AtomicBool::new(false));
        let mut results = foreach_parallel!(
            0..40_u64,
            throttle = 3,
            using(is_wanted = Arc::clone(&is_wanted)),
            |n| {
                until(|| is_wanted.load(Ordering::SeqCst));
                assert!(n % 10 != 3, "no threes");
                assert!(n != 17, "nor this");
                n
            }
        );
        let report = results.report();
        is_wanted.store(true, Ordering::SeqCst);
        assert_eq!(results.outcomes().count(), 40);
        assert_eq!((report.succeeded(), report.failed()), (35, 5));
        let groups = report.failures();
        let [threes, other] = &groups[..] else {
            panic!("{groups:?}");
        };
        assert_eq!(
            threes.to_string(),
            "4 x panicked: no threes (items 3, 13, 23, ..)"
        );
        assert_eq!(other.to_string(), "1 x panicked: nor this (item 17)");
        assert_eq!(report.slowest().len(), 3);
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("35 done in ") && lines[0].ends_with(", 5 failed"),
            "{text}"
        );
        assert_eq!(lines[1], format!("  {threes}"));
        assert_eq!(lines[2], format!("  {other}"));
        assert!(lines[3].starts_with("slowest: item "), "{text}");
        assert_eq!(lines.len(), 4);
    });
}

#[test]
fn a_limit_that_moves_does_not_make_other_groups() {
    within(60, || {
        let timeout = Timeout::median(1.5).at_least(Duration::from_millis(200));
        let mut results = foreach_parallel!(0..12, throttle = 1, timeout = timeout, |n| {
            // Each longer than the one before, until what is stuck.
            while n % 4 == 3 && !runspace::stopping() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(n));
        });
        let report = results.report();
        assert_eq!(results.outcomes().count(), 12);
        let groups = report.failures();
        assert_eq!(groups.len(), 1, "{groups:?}");
        assert_eq!(
            groups[0].to_string(),
            "3 x was given up after its timeout (items 3, 7, 11)"
        );
        let slowest = report.slowest();
        assert!(
            slowest.iter().all(|(index, _)| index % 4 == 3),
            "{slowest:?}"
        );
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[test]
fn crashes_are_grouped_by_how_they_ended_and_are_data_for_programs() {
    within(60, || {
        let mut results = foreach_parallel!(0..8_u64, on = process, throttle = 2, |n| {
            match n {
                1 | 2 | 6 => {
                    eprintln!("{n} has this to say");
                    std::process::abort()
                }
                4 => std::process::exit(3),
                _ => n,
            }
        });
        let report = results.report();
        assert_eq!(results.outcomes().count(), 8);
        let groups: Vec<String> = report.failures().iter().map(ToString::to_string).collect();
        assert_eq!(
            groups,
            [
                "3 x failed: its process was killed by SIGABRT (items 1, 2, 6)",
                "1 x failed: its process exited with code 3 (item 4)",
            ]
        );
        let data = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&data["succeeded"], &data["failed"], &data["stopped"]),
            (&4.into(), &4.into(), &0.into())
        );
        assert!(data["seconds"].as_f64().unwrap() > 0.0);
        assert_eq!(data["failures"][0]["count"], 3);
        assert_eq!(data["failures"][0]["first"], serde_json::json!([1, 2, 6]));
        assert!(data["slowest"][0]["seconds"].as_f64().unwrap() > 0.0);
    });
}
