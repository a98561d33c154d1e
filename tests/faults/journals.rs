//! Journals: what was finished before the program was killed is not run again. And readers of what a program
//! prints that go away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;

use runspace::{Journal, foreach_parallel};

use crate::common::{MS, fresh, pair, promptly};
use crate::stage::{Row, again, note, part, part_is_over, pool, process, threads};
use crate::support::census::failure_of_call;
use crate::support::until;

pub const ROWS: &[Row] = &[
    Row {
        id: "A35",
        name: "reader_of_stdout_goes",
        fault: "The reader of the program's stdout goes away while bodies print and results are printed",
        outcome: "The program sees it where it prints, and leaves early; lines of workers that nobody can read are dropped. No hang, no storm of panics.",
        tests: &[threads(a35_threads), process(a35_process), pool(a35_pool)],
        elsewhere: "",
    },
    Row {
        id: "A36",
        name: "killed_and_resumed",
        fault: "SIGKILL for a program that keeps a journal, with its last line torn; then `resume`",
        outcome: "The torn line is passed over; what is finished is not run again, the rest is; each item has one value in the end.",
        tests: &[
            threads(a36_threads).within(120),
            process(a36_process).within(120),
            pool(a36_pool).within(120),
        ],
        elsewhere: FRESH,
    },
    Row {
        id: "A37",
        name: "resumed_with_another_input",
        fault: "`resume` with an input that has changed: another order, items gone, new ones",
        outcome: "Items are known by their content: what is there and done is not run again, what is new is. That something is gone is an error, before anything runs where it can be seen; unless the call says that it may be. Nothing is taken for another.",
        tests: &[threads(a37_threads), process(a37_process), pool(a37_pool)],
        elsewhere: FRESH,
    },
];

const FRESH: &str = "In a process per job: a pool whose workers run one item each.";

/// Prints results until nobody reads any more.
fn print_all(results: impl Iterator<Item = u64>) -> ! {
    for n in results {
        if writeln!(std::io::stdout(), "result {n}").is_err() {
            std::process::exit(3);
        }
    }
    std::process::exit(0)
}

/// Reads some lines of the program and goes.
fn read_some_and_go() {
    let mut program = again("printing")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    for _ in 0..5 {
        lines.next().unwrap().unwrap();
    }
    drop(lines);
    let output = promptly(|| program.wait_with_output().unwrap());
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.matches("panicked").count() <= 1, "{err}");
}

fn a35_threads() {
    if part().is_some() {
        print_all(foreach_parallel!(0_u64.., throttle = 2, |n| n));
    }
    read_some_and_go();
}

fn a35_process() {
    if part().is_some() {
        print_all((0_u64..).map(|n| {
            let job = runspace::start_job!(using(n), {
                println!("a line of {n}");
                n
            });
            job.join().unwrap()
        }));
    }
    read_some_and_go();
}

fn a35_pool() {
    if part().is_some() {
        let pool = pair();
        print_all(foreach_parallel!(0_u64.., on = process(&pool), |n| {
            println!("a line of {n}");
            n
        }));
    }
    read_some_and_go();
}

/// How many items there are to be done.
const ITEMS: u64 = 120;

/// How often each item has run, over all processes.
fn runs(folder: &Path) -> BTreeMap<u64, u32> {
    let mut runs = BTreeMap::new();
    for line in fs::read_to_string(folder.join("runs"))
        .unwrap_or_default()
        .lines()
    {
        *runs.entry(line.parse().unwrap()).or_default() += 1;
    }
    runs
}

fn run(folder: &Path, n: u64) {
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join("runs"));
    file.unwrap()
        .write_all(format!("{n}\n").as_bytes())
        .unwrap();
}

fn finished(folder: &Path) -> Vec<u64> {
    let text = fs::read(folder.join("run.jsonl")).unwrap_or_default();
    // The last one may be torn.
    let whole = text
        .iter()
        .rposition(|it| *it == b'\n')
        .map_or(0, |it| it + 1);
    let text = String::from_utf8_lossy(&text[..whole]).into_owned();
    let done = text
        .lines()
        .filter(|it| it.contains("\"outcome\":\"done\""));
    done.map(|line| {
        let rest = line.split_once("\"value\":").unwrap().1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    })
    .collect()
}

macro_rules! killed_and_resumed {
    ($kills:expr, $($on:tt)*) => {{
        if part().is_some() {
            let folder = std::env::temp_dir();
            let journal = folder.join("run.jsonl");
            let results = foreach_parallel!(
                0..ITEMS, on = $($on)*, throttle = 2, journal = journal, resume = true, using(folder),
                |n| {
                    run(&folder, n);
                    sleep(2 * MS);
                    n
                }
            );
            let mut all: Vec<u64> = results.collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..ITEMS));
            std::process::exit(0);
        }
        kill_and_resume($kills);
    }};
}

/// Kills the program again and again, and lets it come to its end.
fn kill_and_resume(kills: u32) {
    let folder = std::env::temp_dir();
    let mut allowed: BTreeMap<u64, u32> = (0..ITEMS).map(|n| (n, 1)).collect();
    for _ in 0..kills {
        let before = finished(&folder).len();
        let mut program = again("journal").spawn().unwrap();
        until(|| finished(&folder).len() >= before + 20);
        program.kill().unwrap();
        program.wait().unwrap();
        // So that the workers of the killed are not there at the next look.
        until(|| part_is_over("journal"));
        // As if it had been killed in the middle of the last line.
        let path = folder.join("run.jsonl");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 9]).unwrap();
        // What was not finished then may run once more.
        let done = finished(&folder);
        let ran = runs(&folder);
        for (n, most) in &mut allowed {
            *most = ran.get(n).copied().unwrap_or(0) + u32::from(!done.contains(n));
        }
    }
    let status = again("journal").status().unwrap();
    assert!(status.success());
    let ran = runs(&folder);
    for (n, most) in allowed {
        assert!(
            ran[&n] <= most,
            "item {n} has run {} times, of {most}",
            ran[&n]
        );
    }
    let again = ran.values().filter(|it| **it > 1).count();
    note(format!("{kills} kills, {again} of {ITEMS} items ran again"));
    let mut done = finished(&folder);
    done.sort_unstable();
    assert!(done.into_iter().eq(0..ITEMS));
    for name in ["runs", "run.jsonl"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
}

fn a36_threads() {
    killed_and_resumed!(3, thread);
}

fn a36_process() {
    killed_and_resumed!(2, process(&fresh()));
}

fn a36_pool() {
    killed_and_resumed!(3, process(&pair()));
}

macro_rules! another_input {
    ($($on:tt)*) => {{
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.jsonl");
        // Each with the number of those that need not run, and of those that are gone.
        let inputs: [(Vec<u64>, u64, usize); 4] = [
            (vec![1, 2, 2, 3], 0, 0),
            (vec![3, 2, 9, 2, 1], 4, 0),
            (vec![9, 8], 1, 4),
            (vec![7], 0, 6),
        ];
        for (input, resumed, missing) in inputs {
            let expected: Vec<u64> = input.iter().map(|n| n * n).collect();
            let results = foreach_parallel!(
                input,
                on = $($on)*,
                ordered = true,
                journal = Journal::new(&path).may_change(true),
                resume = true,
                |n| n * n
            );
            let journal = results.journal();
            assert!(results.eq(expected));
            assert_eq!((journal.resumed(), journal.missing().len()), (resumed, missing));
        }
        // Unless the call says so, nothing may be gone: what can be seen at once is refused at once,
        let run = |input: Vec<u64>| {
            foreach_parallel!(
                input, on = $($on)*, ordered = true, journal = &path, resume = true, |n| n * n
            )
        };
        let error = failure_of_call(run(vec![1, 2]).outcomes());
        assert!(error.to_string().contains("has 7 finished items"), "{error}");
        // and the rest when everything that there is has run.
        let mut outcomes: Vec<_> = run((100..110).collect()).outcomes().collect();
        let error = outcomes.pop().unwrap().unwrap_err();
        assert!(error.to_string().contains("items that are finished"), "{error}");
        assert!(outcomes.into_iter().map(Result::unwrap).eq((100..110).map(|n| n * n)));
    }};
}

fn a37_threads() {
    another_input!(thread);
    another_input!(rayon);
}

fn a37_process() {
    another_input!(process(&fresh()));
}

fn a37_pool() {
    another_input!(process(&pair()));
}
