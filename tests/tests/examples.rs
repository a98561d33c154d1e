//! The other examples as their users run them: what they show, and how they end.
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a program under test may take, slow machines included.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn borrow_finds_what_it_looks_for() {
    let text = shown(&mut Command::new(env!("CARGO_BIN_EXE_borrow")));
    assert!(
        text.contains("1000000 numbers take 131434424 steps in all"),
        "{text}"
    );
    assert!(text.contains(" steps; found after "), "{text}");
}

#[test]
fn jobs_are_listed_suspended_stopped_and_received() {
    let text = shown(&mut Command::new(env!("CARGO_BIN_EXE_jobs")));
    for part in [
        "HasMoreData",
        "clock so far: ",
        "clock while Suspended: ",
        "clock: Stopped",
        "was killed by SIGABRT",
        "this will not go well",
        "primes on the way: [2, 48619, 104743, 163847]",
        "INFORMATION: 15000 found, the last is 163847",
        "primes below 1000: 168",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

#[test]
fn isolate_loses_the_three_bad_images_and_no_other() {
    let text = shown(&mut Command::new(env!("CARGO_BIN_EXE_isolate")));
    let (good, bad) = text.split_once("\n3 of 9 failed:\n").expect(&text);
    for (name, rest) in [
        ("red", "#d02020, 2 fields, depth 3"),
        ("green", "#20a040, 2 fields, depth 3"),
        ("blue", "#2040d0, 2 fields, depth 3"),
        ("black", "#000000, 0 fields, depth 0"),
        ("grey", "#808080, 4 fields, depth 1"),
        ("white", "#ffffff, 2 fields, depth 0"),
    ] {
        let line = good.lines().find(|it| it.starts_with(name)).expect(&text);
        assert!(line.contains(" 64 x 64 ") && line.ends_with(rest), "{line}");
    }
    assert_eq!(good.lines().count(), 6, "{text}");
    for (name, signals) in [
        ("bomb.png", &["SIGABRT"][..]),
        ("endless.png", &["SIGXCPU", "SIGKILL"]),
        ("nested.png", &["SIGSEGV", "SIGABRT"]),
    ] {
        let line = bad.lines().find(|it| it.starts_with(name)).expect(&text);
        let is_named = signals
            .iter()
            .any(|it| line.contains(&format!(") was killed by {it}")));
        assert!(is_named, "{line}");
    }
    assert!(
        bad.contains("memory allocation of 7500000000 bytes failed"),
        "{text}"
    );
}

#[test]
fn limits_are_kept() {
    let text = shown(&mut Command::new(env!("CARGO_BIN_EXE_limits")));
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("first to answer: quick"));
    let counts = lines.next().expect(&text);
    assert!(
        counts.starts_with("29 done in ") && counts.ends_with(", 1 failed"),
        "{text}"
    );
    for line in [
        "  1 x was given up after its timeout (item 13)",
        "item 7 was answered on try 3",
        "40 of 41 answered, 1 took 20 times as long as usual",
        "300 answered, as many at once as did best",
        "deadline: 6 answered, 4 cut off while they ran, more not begun",
    ] {
        assert!(text.lines().any(|it| it == line), "no {line:?} in\n{text}");
    }
    assert!(text.contains("slowest: item 13 ("), "{text}");
}

#[test]
fn logscan_counts_crate_by_crate() {
    let folder = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file("one/Cargo.toml", "");
    file("one/src/lib.rs", "// TODO: more\n#[test]\nfn a() {}\n");
    file(
        "one/src/deep/er.rs",
        "/// What it is.\nstruct LongerThanTheOthers;\n",
    );
    file("one/target/made.rs", "// not looked at\n");
    file("one/.hidden/made.rs", "// not looked at\n");
    file("loose.rs", "fn main() {} // FIXME\n");
    file("two.log", "fine\nERROR: not fine\n# a comment\n");

    let run = |arguments: &[&str]| logscan(arguments, folder.path());
    let all = run(&[]);
    assert!(all.status.success(), "{all:?}");
    let rows = rows(&all);
    assert_eq!(rows[0][0], "where");
    assert_eq!(
        rows[1],
        ["*.rs", "1", "1", "0", "1", "21", "at", "./loose.rs:1"]
    );
    assert_eq!(
        rows[2],
        [
            "one",
            "2",
            "5",
            "2",
            "1",
            "27",
            "at",
            "./one/src/deep/er.rs:2"
        ]
    );
    assert_eq!(rows[3], ["total", "3", "6", "2", "2"]);
    assert_eq!(rows.len(), 4);

    let logs = run(&["--extension", "log", "--marker", "ERROR", "."]);
    assert_eq!(
        self::rows(&logs)[1],
        ["*.log", "1", "3", "0", "1", "15", "at", "./two.log:2"]
    );

    let missing = run(&["loose.rs", "missing"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert_eq!(self::rows(&missing)[1][1], "1", "the other file is counted");
    let stderr = String::from_utf8_lossy(&missing.stderr);
    assert!(
        stderr.contains("missing") && stderr.contains("No such file"),
        "{stderr}"
    );
}

#[test]
fn logscan_counts_this_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = logscan(&["macros", "runtime"], &root);
    assert!(output.status.success(), "{output:?}");
    let rows = rows(&output);
    let names: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["where", "macros", "runtime", "total"]);
    let lines = |row: usize| rows[row][2].parse::<u64>().unwrap();
    assert!(
        lines(1) > 1000 && lines(1) + lines(2) == lines(3),
        "{rows:?}"
    );
}

#[test]
fn the_tour_shows_every_stop() {
    let text = shown(&mut Command::new(env!("CARGO_BIN_EXE_tour")));
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|it| it.strip_prefix("== "))
        .collect();
    assert_eq!(titles, TITLES, "{text}");
    for part in SHOWN {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }

    let calls: Vec<&str> = text
        .lines()
        .filter_map(|it| it.strip_prefix("call ")?.split_once(" ran on "))
        .map(|(_, thread)| thread)
        .collect();
    let threads: HashSet<&str> = calls.iter().copied().collect();
    assert_eq!(calls.len(), 10, "{text}");
    assert!((1..=4).contains(&threads.len()), "{text}");

    let (_, table) = text.split_once("cost each").expect(&text);
    assert_eq!(table.matches(" us  ").count(), 7, "{text}");
}

const TITLES: &[&str] = &[
    "A background job",
    "Five jobs, waited for and received",
    "A file job",
    "A policy that refuses, and three ways on",
    "Thread jobs, two at a time",
    "A throttled loop",
    "Passing variables",
    "One runspace, invoked asynchronously",
    "A pool of one to four runspaces",
    "A shared bag",
    "Which one to take",
];

const SHOWN: &[&str] = &[
    "elsewhere is Completed\nanother process: true\n",
    "[Completed, Completed, Completed, Completed, Completed]\n",
    "received [1, 4, 9, 16, 25], and now []\n",
    "line 1 of a program\nline 2 of a program\nline 3 of a program\nWARNING: careful\n",
    "report is Completed\n",
    ") cannot start: the policy of this process is ApprovedOnly (set at ",
    "1. a thread job: Some(27)\n",
    "2. a parallel loop on threads: [27]\n",
    "3. an approved function: Some(27)\nhere the policy is still Allow\n",
    "a here: true\nb here: true\nc here: true\nd here: true\n",
    "four of them took the time of two or more: true\n",
    "9 items, the sum is 45, at most 3 at once\n",
    "Hello, Ada, on a thread\nHello, Grace, on a thread\nHello, Ada, in a process\n",
    "meanwhile: finished is false\nfirst\nfirst and second\n",
    "14 multiples of 7, from Some(7) to Some(98)\n",
];

/// No more items overlap than the throttle allows, on threads as in processes; each is in the timeline and
/// in the picture.
#[test]
fn the_timeline_shows_the_throttle() {
    const THROTTLE: usize = 4;
    const ITEMS: usize = 24;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_timeline"));
    let text = shown(command.arg(folder.path()));
    let json = fs::read(folder.path().join("timeline.json")).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let svg = fs::read_to_string(folder.path().join("timeline.svg")).unwrap();
    for (group, (call, colour)) in [("on threads", "#3B7DD8"), ("in processes", "#E07B39")]
        .into_iter()
        .enumerate()
    {
        let of_kind = |kind: &str| -> Vec<&serde_json::Value> {
            let is_it = |it: &&serde_json::Value| it["ph"] == kind && it["pid"] == group;
            events.iter().filter(is_it).collect()
        };
        let items = of_kind("X");
        let indices: HashSet<u64> = items
            .iter()
            .map(|it| it["args"]["index"].as_u64().unwrap())
            .collect();
        assert_eq!((items.len(), indices.len()), (ITEMS, ITEMS), "{call}");
        assert!(items.iter().all(|it| it["args"]["outcome"] == "ok"));
        assert_eq!(of_kind("i").len(), ITEMS, "each has said something");

        let spans: Vec<(u64, i64, i64)> = items
            .iter()
            .map(|it| {
                let nanos = |name: &str| (it[name].as_f64().unwrap() * 1000.0).round() as i64;
                let start = nanos("ts");
                (it["tid"].as_u64().unwrap(), start, start + nanos("dur"))
            })
            .collect();
        let runs = |at: i64| spans.iter().filter(move |it| it.1 <= at && at < it.2);
        let most = spans.iter().map(|it| runs(it.1).count()).max().unwrap();
        assert!((2..=THROTTLE).contains(&most), "{call}: {most} at once");
        assert!(text.contains(&format!("{call}: {ITEMS} items, at most {most} at once\n")));
        for (row, start, _) in &spans {
            let on_row = runs(*start).filter(|it| it.0 == *row).count();
            assert_eq!(on_row, 1, "{call}: a worker runs one item at a time");
        }
        let bars = svg
            .split('<')
            .filter(|it| it.starts_with("rect ") && it.contains(colour));
        assert_eq!(bars.count(), ITEMS, "{call}: bars in the picture");
    }
    assert!(svg.contains("throttle = 4"), "{svg}");
}

// How programs are run: never longer than `LIMIT`.

fn logscan(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logscan"));
    output(command.args(arguments).current_dir(folder))
}

/// The words of each line.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    text.lines().map(words).collect()
}

/// What a program prints that must succeed.
fn shown(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let end = Instant::now() + LIMIT;
    let mut child = command.spawn().expect("a program that was built");
    let stdout = read(child.stdout.take().expect("a pipe"));
    let stderr = read(child.stderr.take().expect("a pipe"));
    let status = loop {
        if let Some(status) = child.try_wait().expect("the state of a child") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?}: not done after {LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let all = |reader: thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader");
    Output {
        status,
        stdout: all(stdout),
        stderr: all(stderr),
    }
}

fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("the output of a child");
        bytes
    })
}
