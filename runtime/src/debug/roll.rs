//! What there is to tell of: the things that are alive, by weak reference, and the waits that go on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::text::{Name, Seconds, line};
use super::{is_on, watch};
use crate::per_process::PerProcess;
use crate::threads;

/// A thing that has something to say when the program hangs.
pub(crate) trait Tell: Send + Sync {
    /// Under which heading.
    fn heading(&self) -> &'static str;

    /// Says it. Takes no lock but with `try_lock`, and runs nothing of the user's.
    fn tell(&self, out: &mut String);
}

static ROLL: PerProcess<Roll> = PerProcess::new(Roll::default);

/// The locks are held for moments by code of this file alone, which cannot panic half-way.
#[derive(Default)]
pub(super) struct Roll {
    things: Mutex<Things>,
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Things {
    all: Vec<Weak<dyn Tell>>,
    /// When there are so many, those that are gone are taken out.
    full: usize,
}

#[derive(Default)]
struct Waits {
    next: u64,
    all: BTreeMap<u64, Arc<Entry>>,
}

/// A wait that goes on.
struct Entry {
    since: Instant,
    thread: String,
    what: String,
    /// It is part of the work, so that its length says nothing: of a worker for items.
    is_idle: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lock that is held for moments, if it can be had within a few.
fn lock_soon<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    /// A process that was stopped in the middle of one has a right to some.
    const TRIES: u32 = 100;
    for _ in 0..TRIES {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(guard)) => return Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Takes a thing in.
pub(crate) fn enlist<T: Tell + 'static>(thing: &Arc<T>) {
    if is_on() {
        let thing = Arc::downgrade(thing);
        add(thing);
    }
}

#[cold]
fn add(thing: Weak<dyn Tell>) {
    let mut things = lock(&ROLL.things);
    if things.all.len() >= things.full {
        things.all.retain(|it| it.strong_count() > 0);
        things.full = (2 * things.all.len()).max(16);
    }
    things.all.push(thing);
}

/// A wait of this thread, until it is dropped.
#[must_use]
pub(crate) struct Wait(Option<u64>);

/// This thread begins to wait for `what`, in words.
#[inline]
pub(crate) fn wait(what: impl FnOnce() -> String) -> Wait {
    Wait(is_on().then(|| begin(what(), false)))
}

impl Wait {
    /// A wait that says nothing of a hang however long it is, since it is for work.
    #[inline]
    pub(crate) fn idle(what: impl FnOnce() -> String) -> Self {
        Self(is_on().then(|| begin(what(), true)))
    }
}

#[cold]
fn begin(what: String, is_idle: bool) -> u64 {
    let thread = thread::current();
    let name = match thread.name() {
        Some(name) => name.to_owned(),
        None => format!("{:?}", thread.id()),
    };
    let entry = Arc::new(Entry {
        since: Instant::now(),
        thread: name,
        what,
        is_idle,
    });
    let roll = &*ROLL;
    watch::start();
    let mut waits = lock(&roll.waits);
    waits.next += 1;
    let number = waits.next;
    waits.all.insert(number, entry);
    number
}

impl Drop for Wait {
    #[inline]
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            end(number);
        }
    }
}

#[cold]
fn end(number: u64) {
    let entry = lock(&ROLL.waits).all.remove(&number);
    drop(entry);
}

/// How long the wait has lasted that has lasted longest, of those that say something of a hang.
pub(super) fn longest() -> Option<Duration> {
    let waits = lock_soon(&ROLL.waits)?;
    let since = waits.all.values().filter(|it| !it.is_idle);
    since.map(|it| it.since.elapsed()).max()
}

/// Says all.
pub(super) fn tell(out: &mut String) {
    let roll = &*ROLL;
    line(out, 0, format_args!("waits:"));
    match lock_soon(&roll.waits).map(|it| it.all.values().cloned().collect::<Vec<_>>()) {
        None => line(out, 1, format_args!("busy")),
        Some(waits) if waits.is_empty() => line(out, 1, format_args!("none")),
        Some(waits) => waits.iter().for_each(|it| {
            let (time, name) = (Seconds(it.since.elapsed()), Name(&it.thread));
            line(out, 1, format_args!("{time}  thread {name}: {}", it.what));
        }),
    }
    let things = lock_soon(&roll.things).map(|it| it.all.clone());
    let Some(things) = things else {
        return line(out, 0, format_args!("what there is: busy"));
    };
    let things: Vec<Arc<dyn Tell>> = things.iter().filter_map(Weak::upgrade).collect();
    let mut headings: Vec<&str> = things.iter().map(|it| it.heading()).collect();
    headings.sort_unstable();
    headings.dedup();
    for heading in headings {
        line(out, 0, format_args!("{heading}:"));
        let under = things.iter().filter(|it| it.heading() == heading);
        under.for_each(|it| it.tell(out));
    }
    crate::job::tell(out);
    let_go(things);
    tell_threads(out);
}

/// Drops what was looked at on another thread: should its last owner have gone meanwhile, destructors of the user's run
/// for it, and they may be what hangs.
pub(crate) fn let_go<T: Send + 'static>(looked_at: T) {
    let _ = threads::spawn(Box::new(move || drop(looked_at)));
}

/// The threads of this process, as the system names them.
#[cfg(target_os = "linux")]
fn tell_threads(out: &mut String) {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return;
    };
    let mut names = BTreeMap::<String, usize>::new();
    for task in tasks.flatten() {
        if let Ok(name) = std::fs::read_to_string(task.path().join("comm")) {
            let name = Name(name.trim_end()).to_string();
            *names.entry(name).or_default() += 1;
        }
    }
    let names: Vec<String> = names
        .iter()
        .map(|(name, count)| match count {
            1 => name.clone(),
            _ => format!("{count} of {name}"),
        })
        .collect();
    line(out, 0, format_args!("threads: {}", names.join(", ")));
}

#[cfg(not(target_os = "linux"))]
fn tell_threads(_: &mut String) {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_locked_is_told_as_busy_and_not_waited_for() {
        let roll = &*ROLL;
        let held = (lock(&roll.waits), lock(&roll.things));
        let text = thread::spawn(|| {
            let mut text = String::new();
            tell(&mut text);
            text
        });
        let text = text.join().expect("it ends while the locks are held");
        drop(held);
        assert!(text.contains("waits:\n  busy"), "{text}");
        assert!(text.contains("what there is: busy"), "{text}");
    }

    #[test]
    fn a_wait_is_there_until_it_is_over() {
        let number = begin("what a test makes up".to_owned(), false);
        let told = || {
            let mut text = String::new();
            tell(&mut text);
            text.contains("what a test makes up")
        };
        assert!(told());
        end(number);
        assert!(!told());
    }
}
