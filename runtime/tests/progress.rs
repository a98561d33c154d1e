//! `progress = ".."`: lines on a pipe, bars on a terminal, nothing left of either when the call ends.
//!
//! Each test runs one of the programs below in a process of its own.

#![cfg(all(feature = "progress", feature = "process", target_os = "linux"))]

mod support;
#[path = "support/terminal.rs"]
mod terminal;

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use runspace::{foreach_parallel, pipeline, progress};
use support::within;
use terminal::OnTerminal;

const PROGRAM: &str = "PROGRESS_TEST_PROGRAM";

/// One that runs `name`, a program below.
fn program(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "programs", "--nocapture", "--quiet"])
        .env(PROGRAM, name)
        .env("RUST_BACKTRACE", "0")
        .env_remove("RUNSPACE_PROGRESS");
    command
}

/// What it prints to stderr, into a pipe.
fn on_pipe(name: &'static str, variable: Option<&'static str>) -> Vec<String> {
    within(60, move || {
        let mut command = program(name);
        if let Some(value) = variable {
            command.env("RUNSPACE_PROGRESS", value);
        }
        let output = command.stdout(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        text.lines().map(str::to_owned).collect()
    })
}

/// What stands on its terminal in the end, and all that was printed there.
fn on_terminal(name: &'static str) -> (Vec<String>, String) {
    within(60, move || {
        let (status, terminal) = OnTerminal::start(&program(name)).end();
        assert!(status.success(), "{}", terminal.raw());
        let mut screen = terminal.screen();
        screen.retain(|it| !it.is_empty() && it != "running 1 test");
        (screen, terminal.raw())
    })
}

fn take(millis: u64) {
    sleep(Duration::from_millis(millis));
}

#[test]
fn programs() {
    let Ok(name) = std::env::var(PROGRAM) else {
        return;
    };
    match name.as_str() {
        "slow" => slow(),
        "two calls" => two_calls(),
        "to its total" => to_its_total(),
        "processes" => processes(),
        "threads" => threads(),
        "pipeline" => stages(),
        "unknown total" => unknown_total(),
        "false total" => false_total(),
        "further tries" => further_tries(),
        "panicking consumer" => panicking_consumer(),
        "dropped" => dropped(),
        "panicking items" => panicking_items(),
        "worker calls" => worker_calls(),
        other => panic!("there is no {other}"),
    }
    // Before the harness prints what it has to say.
    std::process::exit(0);
}

fn slow() {
    let results = foreach_parallel!(0..12, throttle = 1, progress = "Hashing", |n| {
        take(150);
        if n == 3 { Err(n) } else { Ok(n) }
    });
    assert_eq!(results.count(), 12);
}

fn two_calls() {
    for round in 0..2 {
        let results = foreach_parallel!(
            0..3,
            name = format!("round {round}"),
            progress = true,
            |n| n
        );
        assert_eq!(results.count(), 3);
        let results = foreach_parallel!(0..3, name = "silent", progress = false, |n| n);
        assert_eq!(results.count(), 3);
    }
}

fn to_its_total() {
    let results = foreach_parallel!(0..8_u64, throttle = 2, progress = "Hashing", |n| {
        take(100);
        if n == 2 { None.ok_or("none") } else { Ok(n) }
    });
    for (count, _) in (1..).zip(results) {
        if count == 8 {
            // The call is not over before its end has been asked for.
            take(500);
        }
    }
}

fn processes() {
    foreach_parallel!(
        0..6_u32,
        throttle = 2,
        on = process,
        progress = "Hashing",
        |n| {
            take(60);
            println!("out of the worker that runs {n}");
            eprintln!("and on its stderr, {n}");
            take(60);
        }
    )
    .wait();
}

fn threads() {
    use std::io::Write as _;

    foreach_parallel!(0..6_u32, throttle = 2, progress = "Hashing", |n| {
        take(60);
        progress::println(format_args!("a line of {n}"));
        let mut log = progress::stderr();
        write!(log, "a line ").unwrap();
        take(60);
        writeln!(log, "that took {n} longer").unwrap();
    })
    .wait();
}

fn stages() {
    let count = pipeline!(
        0..6_u32
            | foreach_parallel(throttle = 2, progress = "Reading", |n| {
                take(100);
                n
            })
            | foreach_parallel(throttle = 2, progress = "Writing", |n| {
                take(150);
                n
            })
            | count()
    );
    assert_eq!(count, 6);
}

/// An input that says that it has three items, and has five.
struct Liar(u32);

impl Iterator for Liar {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.0 += 1;
        (self.0 <= 5).then_some(self.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (3, Some(3))
    }
}

fn false_total() {
    let results = foreach_parallel!(Liar(0), throttle = 1, progress = "Hashing", |n| {
        take(250);
        n
    });
    assert_eq!(results.count(), 5);
}

fn further_tries() {
    let results = foreach_parallel!(0..4, throttle = 2, retry = 2, progress = "Hashing", |n| {
        take(100);
        if n == 3 || runspace::attempt() == 1 {
            Err(n)
        } else {
            Ok(n)
        }
    });
    assert_eq!(results.count(), 4);
}

fn unknown_total() {
    let odd = (0..20).filter(|n| n % 2 == 1);
    let results = foreach_parallel!(odd, throttle = 2, progress = "Hashing", |n| {
        take(100);
        n
    });
    assert_eq!(results.count(), 10);
}

fn panicking_consumer() {
    let consumed = std::panic::catch_unwind(|| {
        let results = foreach_parallel!(0..100, throttle = 2, progress = "Hashing", |n| {
            take(100);
            n
        });
        for n in results {
            assert!(n < 4, "no more of them");
        }
    });
    assert!(consumed.is_err());
    eprintln!("the last line");
}

fn dropped() {
    let mut results = foreach_parallel!(0..100, throttle = 2, progress = "Hashing", |n| {
        take(100);
        n
    });
    assert!(results.by_ref().take(4).count() == 4);
    drop(results);
    eprintln!("the last line");
}

fn panicking_items() {
    let results = foreach_parallel!(0..6_u32, throttle = 1, progress = "Hashing", |n| {
        take(120);
        assert!(n % 3 != 1, "item {n} is none of those");
    });
    assert_eq!(results.outcomes().filter(Result::is_err).count(), 2);
}

fn worker_calls() {
    foreach_parallel!(0..2_u32, on = process, progress = "Outer", |_| {
        foreach_parallel!(0..2, progress = "Inner", |n| n).wait();
    })
    .wait();
}

/// A line without the time at its end, which is another each time.
fn timeless(line: &str) -> &str {
    let at = [", after ", ", in "].iter().find_map(|it| line.rfind(it));
    at.map_or(line, |at| &line[..at])
}

fn all_timeless(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|it| timeless(it)).collect()
}

#[test]
fn a_pipe_gets_lines_now_and_then() {
    let lines = on_pipe("slow", None);
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(timeless(last), "Hashing: 12 of 12 done, 1 failed");
    assert!(!before.is_empty() && before.len() < 12, "{lines:?}");
    for line in before {
        let counts = line.strip_prefix("Hashing: ").unwrap();
        let (done, rest) = counts.split_once(" of 12 done").unwrap();
        let done: u32 = done.trim().parse().unwrap();
        assert!((1..12).contains(&done), "{line}");
        assert!(rest.ends_with(" s left"), "{line}");
    }
}

#[test]
fn off_is_silent() {
    assert_eq!(on_pipe("two calls", Some("off")), [""; 0]);
}

#[test]
fn a_name_is_a_title() {
    let lines = on_pipe("two calls", Some("plain"));
    assert_eq!(
        all_timeless(&lines),
        ["round 0: 3 of 3 done", "round 1: 3 of 3 done"]
    );
}

#[test]
fn a_bad_value_is_complained_of_once() {
    let lines = on_pipe("two calls", Some("fancy"));
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].contains("RUNSPACE_PROGRESS is \"fancy\""),
        "{lines:?}"
    );
    assert_eq!(timeless(&lines[1]), "round 0: 3 of 3 done");
}

#[test]
fn a_bar_on_a_pipe_is_lines() {
    let lines = on_pipe("two calls", Some("bar"));
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn an_input_that_has_more_than_it_says_is_not_done_more_than_whole() {
    let lines = on_pipe("false total", None);
    assert_eq!(
        lines.last().map(|it| timeless(it)),
        Some("Hashing: 5 of 5 done"),
        "{lines:?}"
    );
    let (_, raw) = on_terminal("false total");
    for percent in raw.split("% ").filter_map(|it| it.rsplit(' ').next()) {
        let percent = percent.trim_start_matches(|it: char| !it.is_ascii_digit());
        assert!(
            percent.parse::<u32>().is_ok_and(|it| it <= 100) || percent.is_empty(),
            "{raw:?}"
        );
    }
}

#[test]
fn an_item_that_is_tried_again_counts_once() {
    let lines = on_pipe("further tries", None);
    assert_eq!(
        lines.last().map(|it| timeless(it)),
        Some("Hashing: 4 of 4 done, 1 failed"),
        "{lines:?}"
    );
}

#[test]
fn on_a_terminal_the_variable_has_the_last_word_too() {
    for (value, shows) in [("plain", true), ("off", false)] {
        let (screen, raw) = within(60, move || {
            let mut program = program("slow");
            program.env("RUNSPACE_PROGRESS", value);
            let (status, terminal) = OnTerminal::start(&program).end();
            assert!(status.success(), "{}", terminal.raw());
            (terminal.screen(), terminal.raw())
        });
        assert!(!raw.contains("Hashing ["), "{raw:?}");
        let line = |it: &String| it.starts_with("Hashing: 12 of 12 done, 1 failed");
        assert_eq!(screen.iter().any(line), shows, "{screen:?}");
        assert_eq!(raw.contains("Hashing"), shows, "{raw:?}");
    }
}

#[test]
fn a_worker_shows_no_progress_of_its_own() {
    let lines = on_pipe("worker calls", None);
    assert_eq!(all_timeless(&lines), ["Outer: 2 of 2 done"]);
}

#[test]
fn a_terminal_gets_a_bar_that_counts_to_its_total() {
    let (screen, raw) = on_terminal("to its total");
    assert!(raw.contains("Hashing [-"), "{raw:?}");
    assert!(raw.contains(" s left"), "{raw:?}");
    let full = |it: &str| it.contains("#] 100% 8 of 8 done, 1 failed");
    assert!(raw.split('\r').any(full), "{raw:?}");
    assert_eq!(all_timeless(&screen), ["Hashing: 8 of 8 done, 1 failed"]);
}

#[test]
fn lines_of_workers_stand_whole_above_the_bar() {
    let (screen, raw) = on_terminal("processes");
    assert!(raw.contains("Hashing ["), "{raw:?}");
    let mut lines = all_timeless(&screen);
    assert_eq!(lines.pop(), Some("Hashing: 6 of 6 done"), "{screen:?}");
    lines.sort_unstable();
    let of_err = (0..6).map(|n| format!("and on its stderr, {n}"));
    let of_out = (0..6).map(|n| format!("out of the worker that runs {n}"));
    assert_eq!(lines, of_err.chain(of_out).collect::<Vec<_>>());
}

#[test]
fn lines_of_bodies_stand_whole_above_the_bar() {
    let (screen, raw) = on_terminal("threads");
    assert!(raw.contains("Hashing ["), "{raw:?}");
    let mut lines = all_timeless(&screen);
    assert_eq!(lines.pop(), Some("Hashing: 6 of 6 done"), "{screen:?}");
    lines.sort_unstable();
    let first = (0..6).map(|n| format!("a line of {n}"));
    let second = (0..6).map(|n| format!("a line that took {n} longer"));
    assert_eq!(lines, first.chain(second).collect::<Vec<_>>());
}

#[test]
fn each_stage_has_a_bar() {
    let (screen, raw) = on_terminal("pipeline");
    let one_below_the_other = |screen: &Vec<String>| {
        let below = |it: &[String]| it[0].starts_with("Reading [") && it[1].starts_with("Writing ");
        screen.windows(2).any(below)
    };
    assert!(
        terminal::frames(&raw).iter().any(one_below_the_other),
        "{raw:?}"
    );
    assert_eq!(
        all_timeless(&screen),
        ["Reading: 6 of 6 done", "Writing: 6 done"]
    );
}

#[test]
fn without_a_total_there_is_a_count() {
    let (screen, raw) = on_terminal("unknown total");
    assert!(raw.contains(" done, after "), "{raw:?}");
    assert!(!raw.contains('%') && !raw.contains(" left"), "{raw:?}");
    assert_eq!(all_timeless(&screen), ["Hashing: 10 done"]);
}

#[test]
fn a_panicking_consumer_leaves_no_bar() {
    let (screen, raw) = on_terminal("panicking consumer");
    assert!(raw.contains("Hashing ["), "{raw:?}");
    let (last, before) = screen.split_last().unwrap();
    assert_eq!(last, "the last line", "{screen:?}");
    let (end, panic) = before.split_last().unwrap();
    assert!(end.starts_with("Hashing: stopped at "), "{screen:?}");
    assert!(panic[0].starts_with("thread '"), "{screen:?}");
    assert!(panic[1].starts_with("no more of them"), "{screen:?}");
    assert!(!screen.iter().any(|it| it.contains('[')), "{screen:?}");
}

#[test]
fn a_dropped_call_leaves_no_bar() {
    let (screen, raw) = on_terminal("dropped");
    assert!(raw.contains("Hashing ["), "{raw:?}");
    assert_eq!(screen.len(), 2, "{screen:?}");
    assert!(screen[0].starts_with("Hashing: stopped at "), "{screen:?}");
    assert!(screen[0].contains(" of 100, after "), "{screen:?}");
    assert_eq!(screen[1], "the last line");
}

#[test]
fn messages_of_panics_stand_whole_above_the_bar() {
    let (screen, raw) = on_terminal("panicking items");
    assert!(raw.contains("Hashing ["), "{raw:?}");
    assert_eq!(
        screen.last().map(|it| timeless(it)),
        Some("Hashing: 6 of 6 done, 2 failed"),
        "{screen:?}"
    );
    for n in [1, 4] {
        let line = format!("item {n} is none of those");
        assert!(screen.contains(&line), "{screen:?}");
    }
    assert!(!screen.iter().any(|it| it.contains('[')), "{screen:?}");
}
