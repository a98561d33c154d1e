//! What is printed, and shown in columns: whole lines, whatever is in them and whatever takes them.

mod support;

use std::collections::BTreeSet;

use runspace::{jobs, start_thread_job};
use support::within;

/// The column in which the word `Completed` or `Running` begins, as a terminal shows it.
fn column(line: &str, word: &str) -> usize {
    let before = &line[..line.find(word).unwrap()];
    // Wide are the letters used here that are beyond these; no width has an accent of its own.
    let width = |it: char| match it {
        '\u{300}'..='\u{36f}' => 0,
        it if it < '\u{1100}' => 1,
        _ => 2,
    };
    before.chars().map(width).sum()
}

#[test]
fn columns_of_the_job_table_stand_below_each_other() {
    within(30, || {
        let names = ["plain", "漢字の仕事", "🦀 crab", "e\u{301}\u{301}\u{301}"];
        let (go, gone) = std::sync::mpsc::sync_channel::<()>(0);
        let gone = std::sync::Arc::new(std::sync::Mutex::new(gone));
        let all: Vec<_> = names
            .map(|name| {
                let gone = gone.clone();
                start_thread_job!(name = name, using(gone), {
                    gone.lock().unwrap().recv().is_err()
                })
            })
            .into();
        support::until(|| {
            all.iter()
                .all(|it| it.state() == runspace::JobState::Running)
        });
        let table = jobs().to_string();
        let rows = table
            .lines()
            .filter(|it| names.iter().any(|name| it.contains(name)));
        let columns: BTreeSet<usize> = rows.map(|it| column(it, "Running")).collect();
        assert_eq!(columns.len(), 1, "{table}");
        let head = column(table.lines().next().unwrap(), "State");
        assert!(columns.contains(&head), "{table}");
        drop(go);
        runspace::wait_all(&all);
    });
}

#[cfg(all(target_os = "linux", feature = "process"))]
mod processes {
    use std::ffi::OsString;
    use std::io::{BufRead, BufReader};
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::process::Command;

    use runspace::{foreach_parallel, start_job};
    use serde::{Deserialize, Serialize};

    use super::*;

    /// What ends every piece but the last of a line that is too long.
    const GOES_ON: &str = " (line goes on)";

    /// The texts of what a job printed, the pieces of a line joined.
    fn joined(texts: impl Iterator<Item = String>) -> Vec<String> {
        let mut lines = vec![String::new()];
        for text in texts {
            let piece = text.strip_suffix(GOES_ON);
            lines.last_mut().unwrap().push_str(piece.unwrap_or(&text));
            if piece.is_none() {
                lines.push(String::new());
            }
        }
        assert_eq!(lines.pop(), Some(String::new()));
        lines
    }

    #[test]
    fn long_lines_come_whole_or_in_pieces_that_say_so() {
        within(120, || {
            for count in [10, 40_000, 300_000, 1_000_000] {
                // Four bytes each, with one in front: 64 KiB and 1 MiB are within a character.
                let line = format!("a{}", "🦀".repeat(count));
                let job = start_job!(using(count), {
                    println!("a{}", "🦀".repeat(count));
                    println!("end");
                });
                assert_eq!(job.wait(), runspace::JobState::Completed);
                let texts = job.records().into_iter().map(|it| it.text);
                let lines = joined(texts.filter(|it| !it.starts_with('b') && !it.contains("b🦀")));
                assert!(
                    lines.contains(&line) && lines.contains(&"end".to_owned()),
                    "{count}"
                );
                let script =
                    format!("printf a; yes 🦀 | head -n {count} | tr -d '\\n'; echo; echo end");
                let job = start_job!(file = "sh", args = ["-c", &script]);
                assert!(joined(job.iter()) == [line, "end".to_owned()], "{count}");
            }
        });
    }

    /// Prints lines by workers, into a pipe that somebody has made non-blocking and that is read slowly.
    #[test]
    fn no_line_is_torn_or_lost_where_stdout_does_not_block() {
        const NAME: &str = "processes::no_line_is_torn_or_lost_where_stdout_does_not_block";
        const MARK: &str = "PRINTS_INTO_A_FULL_PIPE";
        const LINES: usize = 400;
        if std::env::var_os(MARK).is_some() {
            let printed = foreach_parallel!(0..LINES, on = process, throttle = 2, |n| {
                println!("line {n:04} {}", "x".repeat(2000));
            });
            printed.wait();
            std::process::exit(0);
        }
        within(120, || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", NAME, "--nocapture", "--quiet"])
                .env(MARK, "1")
                .stdout(OwnedFd::from(theirs))
                .spawn()
                .unwrap();
            let mut all = BTreeSet::new();
            for line in BufReader::with_capacity(512, ours).lines() {
                let line = line.unwrap();
                // What the test harness says has no such beginning.
                if let Some(rest) = line.strip_prefix("line ") {
                    let (number, text) = rest.split_at(4);
                    assert_eq!(text, format!(" {}", "x".repeat(2000)));
                    assert!(all.insert(number.parse::<usize>().unwrap()));
                    std::thread::sleep(std::time::Duration::from_micros(500));
                }
            }
            assert!(child.wait().unwrap().success());
            assert!(all.into_iter().eq(0..LINES));
        });
    }

    #[derive(Serialize, Deserialize)]
    struct Node(u8, Option<Box<Node>>);

    #[test]
    fn what_cannot_be_sent_is_told_what_can() {
        within(60, || {
            let path = PathBuf::from(OsString::from_vec(vec![b'/', 0xFF]));
            let error = start_job!(using(path), { path.is_absolute() });
            let error = error.join().unwrap_err().to_string();
            assert!(error.contains("send `path.into_os_string()`"), "{error}");
            let text = PathBuf::from(OsString::from_vec(vec![b'/', 0xFF])).into_os_string();
            let job = start_job!(using(text), { PathBuf::from(text).is_absolute() });
            assert!(job.join().unwrap());
            let list = (0..200).fold(None, |next, n| Some(Box::new(Node(n, next))));
            let results = foreach_parallel!([list], on = process, |list| list.is_some());
            let error = results.outcomes().next().unwrap().unwrap_err().to_string();
            assert!(error.contains("send its parts in a `Vec`"), "{error}");
            let many = vec![(); (1 << 24) + 100];
            let results = foreach_parallel!([many], on = process, |many| many.len());
            let error = results.outcomes().next().unwrap().unwrap_err().to_string();
            assert!(error.contains("send their number instead"), "{error}");
        });
    }
}
