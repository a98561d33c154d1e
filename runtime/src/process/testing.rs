//! What the tests of this folder share: a time limit, a census, and short ways to run a body.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::call::{ChildJob, Event, Running, call, fresh, serve_call, serve_emitting};
use super::child::{Lines, Stream};
use super::entry::Body;
use super::link::Start;

/// Runs `body`; aborts the whole test program, naming the test, when it takes too long. What it
/// leaves behind, a child, a zombie or a descriptor, fails the test.
///
/// Tests that count what the process has cannot run beside others that change it: one at a time.
pub(crate) fn within<T: Send + 'static>(
    seconds: u64,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let before = Census::take();
    let (done, wait) = channel();
    let thread = std::thread::spawn(move || {
        let value = body();
        let _ = done.send(());
        value
    });
    if wait.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
        eprintln!("{name} takes longer than {seconds} s; giving up");
        std::process::abort();
    }
    let value = thread
        .join()
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload));
    if let Err(left) = before.settles() {
        panic!("{name} has left behind: {left:?}");
    }
    value
}

/// What a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    children: BTreeSet<String>,
    descriptors: BTreeSet<String>,
}

impl Census {
    pub(crate) fn take() -> Self {
        Self {
            children: children(),
            descriptors: descriptors(),
        }
    }

    /// Waits until the process has no more than this. Spares and threads go when they are idle.
    pub(crate) fn settles(&self) -> Result<(), Vec<String>> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let now = Self::take();
            let children = now.children.difference(&self.children);
            let descriptors = now.descriptors.difference(&self.descriptors);
            let left: Vec<String> = children.chain(descriptors).cloned().collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(left);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The processes that this one has started and not reaped: number, state, name.
pub(crate) fn children() -> BTreeSet<String> {
    let own = std::process::id().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|it| {
        let stat = fs::read_to_string(it.path().join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let mut rest = rest.split_whitespace();
        let (state, parent) = (rest.next()?, rest.next()?);
        (parent == own).then(|| format!("process {name}) {state}"))
    })
    .collect()
}

fn descriptors() -> BTreeSet<String> {
    let all = fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter_map(|it| {
        let to = fs::read_link(it.path()).ok()?;
        // The directory that is being read is one, too.
        let own = Path::new("/proc")
            .join(std::process::id().to_string())
            .join("fd");
        (to != own).then(|| format!("descriptor {} {}", it.file_name().display(), to.display()))
    })
    .collect()
}

/// Whether a process of this number runs, zombies not counted.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// Waits until `condition` holds, for ten seconds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Keeps lines.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<(Stream, String)>>);

impl Kept {
    pub(crate) fn of(&self, stream: Stream) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines
            .iter()
            .filter(|it| it.0 == stream)
            .map(|it| it.1.clone())
            .collect()
    }
}

impl Lines for Kept {
    fn line(&self, stream: Stream, line: String) {
        self.0.lock().unwrap().push((stream, line));
    }
}

/// Starts `body`.
pub(crate) fn start<C: Serialize + DeserializeOwned, T: Serialize + DeserializeOwned>(
    captures: C,
    body: fn(C) -> T,
    lines: &Arc<Kept>,
) -> Result<Running<T>, Failure> {
    let body = Body::new(serve_call::<C, T>, body)?;
    let lines: Arc<dyn Lines> = Arc::<Kept>::clone(lines);
    let start = Start::here()?;
    call(&start, fresh(&start, lines)?, body, &captures).map(read)
}

/// A process that ends before it has read its body says so as its end.
fn read<T: DeserializeOwned>(mut running: Running<T>) -> Running<T> {
    let _ = running.wait_until_read();
    running
}

/// Starts a body that emits.
pub(crate) fn start_emitting<C: Serialize + DeserializeOwned, T: Serialize + DeserializeOwned>(
    captures: C,
    body: fn(C, &ChildJob<T>),
) -> Result<Running<T>, Failure> {
    let body = Body::new(serve_emitting::<C, T>, body)?;
    let start = Start::here()?;
    call(
        &start,
        fresh(&start, Arc::new(Kept::default()))?,
        body,
        &captures,
    )
    .map(read)
}

/// Runs `body` to its end, and answers its value.
pub(crate) fn run<C: Serialize + DeserializeOwned, T: Serialize + DeserializeOwned>(
    captures: C,
    body: fn(C) -> T,
) -> Result<T, Failure> {
    value(&mut start(captures, body, &Arc::default())?)
}

/// Waits for the end of a body, and answers its last value.
pub(crate) fn value<T: DeserializeOwned>(running: &mut Running<T>) -> Result<T, Failure> {
    let (values, end) = all(running);
    end.map(|()| values.into_iter().next_back().expect("a value"))
}

/// Waits for the end of a body, and answers all that came.
pub(crate) fn all<T: DeserializeOwned>(running: &mut Running<T>) -> (Vec<T>, Result<(), Failure>) {
    let mut values = vec![];
    loop {
        match running.next() {
            Event::Output(value) => values.push(value),
            Event::Note(_) => {}
            Event::End(end) => return (values, end),
        }
    }
}
