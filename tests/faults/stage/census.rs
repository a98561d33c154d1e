//! What a process has, and which processes belong to it.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::census::{children, descriptors};

/// What a process has: children with their states, descriptors, threads.
pub struct Left(BTreeSet<String>);

impl Left {
    pub fn take() -> Self {
        let children = children().into_iter();
        let children = children.map(|(pid, state)| format!("child {pid} {state} {}", name(pid)));
        Self(children.chain(descriptors()).chain(threads()).collect())
    }

    /// What there is now that was not there then. What is kept for a while has the time to go.
    pub fn since(&self, limit: Duration) -> Vec<String> {
        let end = Instant::now() + limit;
        let mut pause = Duration::from_millis(10);
        loop {
            let left: Vec<String> = Self::take().0.difference(&self.0).cloned().collect();
            if left.is_empty() || Instant::now() > end {
                return left;
            }
            // A look costs something, and many processes may look at once.
            sleep(pause);
            pause = (pause * 3 / 2).min(Duration::from_millis(300));
        }
    }
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn threads() -> impl Iterator<Item = String> {
    let all = fs::read_dir("/proc/self/task").unwrap().flatten();
    all.filter_map(|it| {
        let name = fs::read_to_string(it.path().join("comm")).ok()?;
        let id = it.file_name();
        Some(format!("thread {} {}", id.display(), name.trim_end()))
    })
}

/// The processes that have `mark` in the environment that they were started with, and are no zombies:
/// whose children they are does not matter.
pub fn marked(mark: &str) -> Vec<u32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| {
        let pid = it.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(it.path().join("environ")).ok()?;
        let mut variables = environment.split(|it| *it == 0);
        variables.any(|it| it == mark.as_bytes()).then_some(pid)
    })
    .collect()
}

/// What the threads of a process are doing, for who looks why it does not come to its end.
pub fn stacks(pid: u32) -> String {
    let mut text = format!("process {pid} {}\n", name(pid));
    for entry in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |file: &str| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let state = read("stat");
        let state = state
            .rsplit(')')
            .next()
            .unwrap_or("")
            .trim_start()
            .chars()
            .next();
        text += &format!(
            "  thread {} {} {} in {} ({})\n",
            entry.file_name().display(),
            read("comm").trim_end(),
            state.unwrap_or('?'),
            read("wchan"),
            read("syscall").split(' ').next().unwrap_or("").trim_end(),
        );
    }
    // With a debugger at hand there is more to be seen.
    let mut debugger = std::process::Command::new("timeout");
    debugger.args([
        "20",
        "gdb",
        "-batch",
        "-nx",
        "-ex",
        "thread apply all bt 12",
        "-p",
    ]);
    if let Ok(output) = debugger.arg(pid.to_string()).output() {
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = shown
            .lines()
            .filter(|it| it.starts_with('#') || it.starts_with("Thread"));
        lines.for_each(|it| text += &format!("  {it}\n"));
    }
    text
}
