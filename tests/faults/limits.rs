//! Numbers and lines that are as large as can be.

use std::time::Duration;

use runspace::{
    JobState, ProcessPool, Retry, Throttle, foreach_parallel, start_job, start_thread_job,
};

use crate::stage::{Row, pool, process, threads};
use crate::support::until;

pub const ROWS: &[Row] = &[
    Row {
        id: "C7",
        name: "numbers_at_their_limits",
        fault: "The largest number or duration there is, as a throttle, buffer, limit of time, grace, idle time, pause or number of tries",
        outcome: "It is meant as what it says: as many as there is work for, or never. Zero is meant or refused in words. Nothing overflows, \
                  and what watches over children goes on.",
        tests: &[threads(c7_threads), process(c7_process), pool(c7_pool)],
        elsewhere: "",
    },
    Row {
        id: "C8",
        name: "lines_without_end",
        fault: "A line of 4 MB is printed, in letters of four bytes",
        outcome: "It comes in pieces of a mebibyte, cut between two letters; all but the last end in ` (line goes on)`, and joined they are the line.",
        tests: &[process(c8_process), pool(c8_pool)],
        elsewhere: "What a thread prints goes where it prints it.",
    },
];

/// What `Duration::MAX` and its like are written as.
const FAR: [Duration; 2] = [Duration::MAX, Duration::from_secs(u64::MAX)];

fn c7_threads() {
    for throttle in [usize::MAX, usize::MAX / 2 + 1] {
        let results =
            foreach_parallel!(0..100_u64, throttle = throttle, buffer = usize::MAX, |n| n);
        assert_eq!(results.sum::<u64>(), 4950);
    }
    let mut results = foreach_parallel!(0..1000_u64, throttle = 1, |n| n);
    let first = results.next().unwrap();
    results.throttle().set(usize::MAX);
    assert_eq!(first + results.sum::<u64>(), 499_500);
    let auto = Throttle::auto_at_most(usize::MAX);
    assert_eq!(
        foreach_parallel!(0..100_u64, throttle = auto, |n| n).sum::<u64>(),
        4950
    );
    for far in FAR {
        let results = foreach_parallel!(0..100_u64, timeout = far, deadline = far, |n| n);
        assert_eq!(results.sum::<u64>(), 4950);
        let mut outcomes = foreach_parallel!(0..2_u64, retry = Retry::every(u32::MAX, far), |n| {
            assert!(n == 0 || runspace::attempt() > 1, "the first try");
            n
        })
        .outcomes();
        assert_eq!(outcomes.next().unwrap().unwrap(), 0);
        // Item 1 waits for ever.
        outcomes.stop_token().stop();
        assert!(outcomes.all(|it| it.is_err()));
        let job = start_thread_job!({ 7 });
        assert_eq!(job.wait_timeout(far), Some(JobState::Completed));
    }
}

fn c7_process() {
    for far in FAR {
        let job = start_job!(
            grace = far,
            timeout = far,
            cpu_time = far,
            memory = u64::MAX,
            {
                std::thread::sleep(Duration::from_secs(600));
            }
        );
        until(|| job.state() == JobState::Running);
        job.stop();
        assert_eq!(job.wait(), JobState::Stopped);
        // Those who start children, and watch over them, are there.
        let job = start_job!(timeout = far, { 7 });
        assert_eq!(job.join().unwrap(), 7);
    }
}

fn c7_pool() {
    for far in FAR {
        let pool = ProcessPool::builder()
            .workers(usize::MAX)
            .idle_timeout(far)
            .grace(far)
            .cpu_time(far)
            .max_items(u64::MAX)
            .max_growth(u64::MAX)
            .build();
        for _ in 0..3 {
            let results = foreach_parallel!(0..6_u64, on = process(&pool), timeout = far, |n| n);
            assert_eq!(results.sum::<u64>(), 15);
        }
    }
    let results = foreach_parallel!(0..6_u64, on = process, throttle = usize::MAX, |n| n);
    assert_eq!(results.sum::<u64>(), 15);
}

/// What ends every piece but the last of a line that is too long.
const GOES_ON: &str = " (line goes on)";

const LETTERS: usize = 1_000_000;

/// The line of which these are the pieces.
#[track_caller]
fn assert_line<'a>(pieces: impl IntoIterator<Item = &'a str>) {
    let pieces: Vec<&str> = pieces.into_iter().collect();
    let (last, cut) = pieces.split_last().expect("a line");
    assert!(cut.len() >= 3, "{} pieces", cut.len());
    let cut = cut
        .iter()
        .map(|it| it.strip_suffix(GOES_ON).expect("a mark"));
    let line: String = cut.chain([*last]).collect();
    assert!(line == long_line(), "{} bytes", line.len());
}

fn long_line() -> String {
    format!("a{}", "🦀".repeat(LETTERS))
}

fn c8_process() {
    let job = start_job!({ println!("{}", long_line()) });
    assert_eq!(job.wait(), JobState::Completed);
    assert_line(job.records().iter().map(|it| &*it.text));
    let script = format!("printf a; yes 🦀 | head -n {LETTERS} | tr -d '\\n'; echo");
    let job = start_job!(file = "sh", args = ["-c", &script]);
    assert_eq!(job.wait(), JobState::Completed);
    let pieces = job.receive();
    assert_line(pieces.iter().map(String::as_str));
}

/// What workers print goes where this process prints: here, a file.
fn c8_pool() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let stdout = std::fs::OpenOptions::new()
        .append(true)
        .open(file.path())
        .unwrap();
    let before = rustix::io::dup(std::io::stdout()).unwrap();
    rustix::stdio::dup2_stdout(&stdout).unwrap();
    foreach_parallel!([()], on = process, |()| println!("{}", long_line())).wait();
    rustix::stdio::dup2_stdout(&before).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert_line(text.lines());
}
