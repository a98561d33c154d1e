//! Does memory stay bounded while many items stream?

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use runspace::{Results, foreach_parallel};

use super::{Question, Setup};
use crate::Group;
use crate::table::Table;

pub(crate) const QUESTION: Question = Question {
    group: Group::Core,
    title: "Memory while no-op items stream",
    ask,
};

/// How many items go by between two looks at the memory.
const LOOK: u64 = 1 << 16;

fn ask(setup: &Setup) {
    let n: u64 = if setup.long { 100_000_000 } else { 1_000_000 };
    if resident().is_none() {
        println!("Not answered here: there is no /proc/self/status to read.\n");
        return;
    }
    let mut table = Table::new(["", "RSS before", "most", "growth", "time"]);
    table.row(watch("throttle 5", || foreach_parallel!(0..n, |it| it)));
    table.row(watch("throttle 5, ordered", || {
        foreach_parallel!(0..n, ordered = true, |it| it)
    }));
    table.row(watch("throttle 64", || {
        foreach_parallel!(0..n, throttle = 64, |it| it)
    }));
    println!(
        "{n} items; resident set size in KiB, looked at every {LOOK} items. The first row pays for the threads.\n"
    );
    println!("{table}");
}

fn watch(name: &str, call: impl FnOnce() -> Results<u64>) -> [String; 5] {
    let start = Instant::now();
    let before = resident().unwrap_or(0);
    let mut most = before;
    let mut count: u64 = 0;
    for item in call() {
        black_box(item);
        count += 1;
        if count.is_multiple_of(LOOK) {
            most = most.max(resident().unwrap_or(0));
        }
    }
    most = most.max(resident().unwrap_or(0));
    let time = start.elapsed();
    [
        name.to_owned(),
        before.to_string(),
        most.to_string(),
        (most - before).to_string(),
        format!("{:.2} s", time.as_secs_f64()),
    ]
}

/// This process's resident set size in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
