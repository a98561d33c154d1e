//! Does memory stay bounded while many items stream?

use std::hint::black_box;
use std::time::Instant;

use runspace::{Results, foreach_parallel};

use super::{Question, Setup};
use crate::measure::Figure;
use crate::report::{Answer, Bar, Table, Unit, field};

pub(crate) const QUESTION: Question = Question {
    name: "memory",
    title: "Memory while no-op items stream",
    ask,
};

/// How many items go by between two looks at the memory.
const LOOK: u64 = 1 << 18;

/// The most that it may grow by.
const MOST: u64 = 8 << 20;

fn ask(setup: &Setup) -> Answer {
    let mut answer = Answer::default();
    if resident().is_none() {
        answer.say("Not answered here: there is no `/proc/self/smaps_rollup` to read.");
        return answer;
    }
    let n: u64 = if setup.quick { 2_000_000 } else { 100_000_000 };
    let mut table = Table::new(["", "RSS before", "growth", "per item", "time per item"]);
    let mut watch = |name: &str, call: &dyn Fn() -> Results<u64>| {
        let (before, growth, seconds) = watch(call);
        table.row([
            name.to_owned(),
            Unit::Bytes.write(before as f64),
            Unit::Bytes.write(growth as f64),
            format!("{:.4} B", growth as f64 / n as f64),
            Unit::Seconds.write(seconds / n as f64),
        ]);
        let what = format!("{n} items, {name}, growth of memory");
        answer.bar(Bar::bytes(what, MOST as f64, Figure::once(growth as f64)));
    };
    watch("throttle 2", &|| {
        foreach_parallel!(0..n, throttle = 2, |it| it)
    });
    watch("throttle 2, ordered", &|| {
        foreach_parallel!(0..n, throttle = 2, ordered = true, |it| it)
    });
    watch("throttle 64", &|| {
        foreach_parallel!(0..n, throttle = 64, |it| it)
    });
    answer.say(format!(
        "{n} items; resident memory of the process, looked at every {LOOK} items: the most less what it was before. The \
         first row pays for the threads."
    ));
    answer.say(table);
    answer
}

/// The resident bytes before, by how much they grew, and how long it took.
fn watch(call: &dyn Fn() -> Results<u64>) -> (u64, u64, f64) {
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
    (before, most - before, start.elapsed().as_secs_f64())
}

/// The resident bytes of this process, where the system tells. The exact number: those in `status` may
/// be a quarter of a MiB off.
pub(super) fn resident() -> Option<u64> {
    let said = field("/proc/self/smaps_rollup", "Rss")?;
    let kilobytes: u64 = said.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
