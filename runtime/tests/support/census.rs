//! What tests of processes share: a census of what a process has, and ways to look at failures.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use runspace::{Cause, Crash, ItemError, Job, JobErrorKind, ProcessError};
use rustix::process::{Pid, Signal, kill_process};

/// What this process has that must not grow: children, zombies among them, and descriptors.
#[derive(Debug)]
pub struct Census {
    children: BTreeSet<String>,
    descriptors: BTreeSet<String>,
    /// The threads that look after children.
    keepers: BTreeSet<String>,
}

impl Census {
    pub fn take() -> Self {
        Self {
            children: children()
                .into_iter()
                .map(|(pid, state)| format!("child {pid} {state}"))
                .collect(),
            descriptors: descriptors(),
            keepers: keepers(),
        }
    }

    /// What there is now that was not there then.
    pub fn left(&self) -> Vec<String> {
        let now = Self::take();
        let children = now.children.difference(&self.children);
        let descriptors = now.descriptors.difference(&self.descriptors);
        let keepers = now.keepers.difference(&self.keepers);
        children
            .chain(descriptors)
            .chain(keepers)
            .cloned()
            .collect()
    }

    /// Spares and idle workers are given the time to go.
    pub fn settle(&self, limit: Duration) -> Result<(), Vec<String>> {
        let end = Instant::now() + limit;
        loop {
            let left = self.left();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(left);
            }
            sleep(Duration::from_millis(10));
        }
    }
}

/// The processes that this one has started and not reaped, with their states.
pub fn children() -> BTreeMap<u32, char> {
    let own = std::process::id().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| {
        let pid = it.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(it.path().join("stat")).ok()?;
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let state = words.next()?.chars().next()?;
        (words.next()? == own).then_some((pid, state))
    })
    .collect()
}

pub fn descriptors() -> BTreeSet<String> {
    let own = Path::new("/proc")
        .join(std::process::id().to_string())
        .join("fd");
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter_map(|it| {
        let to = fs::read_link(it.path()).ok()?;
        // The directory that is being read is one, too.
        (to != own).then(|| format!("descriptor {} {}", it.file_name().display(), to.display()))
    })
    .collect()
}

pub fn keepers() -> BTreeSet<String> {
    let all = fs::read_dir("/proc/self/task").unwrap().flatten();
    all.filter_map(|it| {
        let name = fs::read_to_string(it.path().join("comm")).ok()?;
        let name = name.trim_end();
        name.starts_with("runspace-")
            .then(|| format!("thread {} {name}", it.file_name().display()))
    })
    .collect()
}

/// Runs `body` with a time limit, and takes the census after it. One test at a time: what others do
/// meanwhile would be counted, too.
pub fn alone(secs: u64, body: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    super::within(secs, move || {
        let before = Census::take();
        body();
        if let Err(left) = before.settle(Duration::from_secs(30)) {
            panic!("left behind: {left:#?}");
        }
    });
}

/// Whether a process of this number is there, and no zombie.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .trim_start()
        .chars()
        .next();
    state.is_some_and(|it| it != 'Z' && it != 'X')
}

pub fn send(signal: Signal, pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).is_ok()
}

/// Ends this process by `signal`, even if something catches it at first.
pub fn die(signal: Signal) -> ! {
    loop {
        send(signal, std::process::id());
    }
}

pub fn crash(error: &ItemError) -> &Crash {
    match error.cause() {
        Cause::Process(it) => it.crash().unwrap_or_else(|| panic!("no crash: {error}")),
        _ => panic!("no crash: {error}"),
    }
}

/// Why a job in a process has no value.
#[track_caller]
pub fn process_error<T: std::fmt::Debug>(job: Job<T>) -> ProcessError {
    match job.join().unwrap_err().into_kind() {
        JobErrorKind::Process(error) => error,
        other => panic!("{other:?}"),
    }
}

/// The outcomes of a call in the order of its items: which of the `count` have failed, and how. Every
/// item has one outcome.
pub fn by_index<R>(
    outcomes: impl Iterator<Item = Result<R, ItemError>>,
    index_of: impl Fn(&R) -> u64,
    count: u64,
) -> BTreeMap<u64, Result<R, ItemError>> {
    let mut all = BTreeMap::new();
    for outcome in outcomes {
        let index = match &outcome {
            Ok(value) => index_of(value),
            Err(error) => error
                .index()
                .unwrap_or_else(|| panic!("the call failed: {error}")),
        };
        assert!(
            all.insert(index, outcome).is_none(),
            "item {index} has two outcomes"
        );
    }
    assert!(all.keys().copied().eq(0..count), "{:?}", all.keys());
    all
}

/// The one error of a call that could not go on. The items in hand were stopped.
pub fn failure_of_call<R: std::fmt::Debug>(
    outcomes: impl Iterator<Item = Result<R, ItemError>>,
) -> ItemError {
    let errors = outcomes.map(|it| it.expect_err("no item can have run"));
    let mut errors: Vec<ItemError> = errors.filter(|it| !it.is_stopped()).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let error = errors.remove(0);
    assert_eq!(error.index(), None, "{error}");
    error
}
