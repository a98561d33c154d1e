//! The workers of a pool, and who has them.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::super::Failure;
use super::super::call::fresh;
use super::super::child::{Lines, NoLines, Patience, Supervisor};
use super::super::entry::Setup;
use super::super::link::{Link, Start};
use super::super::sys::limits::Limits;
use super::there::Recycle;
use crate::debug;
use crate::stop::{OnStop, StopToken};
use crate::sync::{Condvar, Mutex};
use crate::time;

/// What the workers of a pool are like, and how many there are.
#[derive(Clone, Debug)]
pub(crate) struct PoolOptions {
    /// The most workers at once.
    pub(crate) workers: usize,
    /// How long a worker without work is kept.
    pub(crate) idle: Duration,
    /// Variables that differ from this process's; `None` for those that workers shall not have.
    pub(crate) variables: Vec<(OsString, Option<OsString>)>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) limits: Limits,
    pub(crate) recycle: Recycle,
    /// How a worker is ended whose item takes too long, or whose call is stopped.
    pub(crate) patience: Patience,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            workers: usize::MAX,
            idle: Duration::from_secs(if cfg!(test) { 1 } else { 5 }),
            variables: Vec::new(),
            directory: None,
            limits: Limits::default(),
            recycle: Recycle::default(),
            patience: Patience::DEFAULT,
        }
    }
}

impl PoolOptions {
    fn setup(&self) -> Option<Setup> {
        let mut setup = Setup {
            environment: None,
            directory: self.directory.clone(),
            limits: self.limits,
            recycle: self.recycle,
        };
        if !self.variables.is_empty() {
            let differs = |name: &OsString| self.variables.iter().any(|it| it.0 == *name);
            let own = std::env::vars_os().filter(|it| !differs(&it.0));
            let set = self
                .variables
                .iter()
                .filter_map(|(name, value)| value.clone().map(|value| (name.clone(), value)));
            setup.environment = Some(own.chain(set).collect());
        }
        let plain = setup.environment.is_none()
            && setup.directory.is_none()
            && setup.limits == Limits::default()
            && setup.recycle == Recycle::default();
        (!plain).then_some(setup)
    }
}

/// Worker processes. Clones are the same pool; with the last, its idle workers leave.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    options: PoolOptions,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    /// Places that are taken, by sessions.
    taken: usize,
    /// Who waits for a place, in turn.
    waiting: VecDeque<u64>,
    last_ticket: u64,
    /// The thread that looks whether idle workers are to go.
    watched: Weak<Supervisor>,
}

/// A worker without work.
struct Idle {
    link: Link,
    start: Start,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(options: PoolOptions) -> Self {
        assert!(
            options.workers > 0,
            "a pool of no workers would never run anything"
        );
        Self(Arc::new(Inner {
            options,
            state: Mutex::default(),
            freed: Condvar::new(),
        }))
    }

    pub(crate) fn options(&self) -> &PoolOptions {
        &self.0.options
    }

    /// Waits for a place, first come, first served; `wait` is called before that, if there is none now.
    /// `None` when `stop` is stopped before.
    pub(crate) fn place(&self, stop: &StopToken, wait: impl FnOnce()) -> Option<Place> {
        let mut state = self.0.state.lock();
        if state.waiting.is_empty() && state.taken < self.0.options.workers {
            state.taken = state.taken.saturating_add(1);
            return Some(Place(self.clone()));
        }
        drop(state);
        wait();
        self.wait_for_place(stop)
    }

    fn wait_for_place(&self, stop: &StopToken) -> Option<Place> {
        let wake = Arc::new(Wake(Arc::downgrade(&self.0)));
        stop.listen(&wake);
        let _waits = debug::wait(|| {
            let workers = debug::Count(self.0.options.workers, "worker");
            format!("a worker of a pool of {workers} at most, which others have")
        });
        let mut state = self.0.state.lock();
        state.last_ticket = state.last_ticket.saturating_add(1);
        let ticket = state.last_ticket;
        state.waiting.push_back(ticket);
        while state.waiting.front() != Some(&ticket) || state.taken >= self.0.options.workers {
            if stop.is_stopping() {
                state.waiting.retain(|it| *it != ticket);
                drop(state);
                self.0.freed.notify_all();
                return None;
            }
            state = self.0.freed.wait(state);
        }
        state.waiting.pop_front();
        state.taken = state.taken.saturating_add(1);
        drop(state);
        self.0.freed.notify_all();
        Some(Place(self.clone()))
    }

    /// How many workers wait for work.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.0.state.lock().idle.len()
    }

    /// Sees to it that idle workers are looked after.
    fn watch(&self, start: &Start, time: Option<Instant>) {
        // Workers that are never idle for too long need nobody to look.
        let Some(time) = time else {
            return;
        };
        let Ok(supervisor) = &start.supervisor() else {
            return;
        };
        let mut state = self.0.state.lock();
        let watcher = state.watched.upgrade().filter(|it| !it.is_over());
        if watcher.is_some_and(|it| Arc::ptr_eq(&it, supervisor)) {
            return;
        }
        state.watched = Arc::downgrade(supervisor);
        drop(state);
        Self::look_later(Arc::downgrade(&self.0), supervisor, time);
    }

    /// Ends the workers that have been idle for too long, and looks again when the next may be.
    fn look_later(inner: Weak<Inner>, supervisor: &Arc<Supervisor>, time: Instant) {
        let again = Arc::clone(supervisor);
        supervisor.at(time, move || {
            let Some(pool) = inner.upgrade() else {
                return;
            };
            let now = Instant::now();
            let mut state = pool.state.lock();
            let keep = pool.options.idle;
            let old = |it: &mut Idle| time::has_come(time::later(it.since, keep), now);
            let gone: Vec<Idle> = state.idle.extract_if(.., old).collect();
            let first = state.idle.iter().map(|it| it.since).min();
            let next = first.and_then(|first| time::later(first, keep));
            if next.is_none() {
                state.watched = Weak::new();
            }
            drop(state);
            gone.into_iter().for_each(|it| it.link.leave());
            if let Some(next) = next {
                Self::look_later(inner, &again, next);
            }
        });
    }
}

/// Wakes those who wait for a place when one of them is stopped.
struct Wake(Weak<Inner>);

impl OnStop for Wake {
    fn on_stop(&self) {
        if let Some(pool) = self.0.upgrade() {
            // Under the lock, so that nobody is between his look and his sleep.
            let state = pool.state.lock();
            pool.freed.notify_all();
            drop(state);
        }
    }
}

/// The right to use one worker of a pool.
#[derive(Debug)]
pub(crate) struct Place(Pool);

impl Place {
    pub(super) fn options(&self) -> &PoolOptions {
        self.0.options()
    }

    /// A worker that is as one started by `start` would be: an idle one, the one used last, or a new one.
    /// What it prints goes to `lines`.
    pub(crate) fn worker(&self, start: &Start, lines: &Arc<dyn Lines>) -> Result<Link, Failure> {
        loop {
            let idle = self.0.0.state.lock().idle.pop();
            let Some(idle) = idle else {
                break;
            };
            let fits = idle.start.surroundings == start.surroundings && idle.link.is_open();
            if fits {
                idle.link.child().set_lines(Arc::clone(lines));
                return Ok(idle.link);
            }
            idle.link.leave();
        }
        let mut link = fresh(start, Arc::clone(lines))?;
        if let Some(setup) = self.0.options().setup() {
            link.send_setup(&setup)?;
        }
        Ok(link)
    }

    /// Gives back a worker that has no work, and whose output has been read.
    pub(crate) fn give_back(&self, mut link: Link, start: &Start) {
        link.set_proven();
        let since = Instant::now();
        link.child().replace_lines(Arc::new(NoLines));
        let start = start.clone();
        let inner = &self.0.0;
        let watched_by = start.clone();
        inner.state.lock().idle.push(Idle { link, start, since });
        let end = time::later(since, inner.options.idle);
        self.0.watch(&watched_by, end);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let inner = &self.0.0;
        let mut state = inner.state.lock();
        state.taken = state.taken.saturating_sub(1);
        let wanted = !state.waiting.is_empty();
        drop(state);
        if wanted {
            inner.freed.notify_all();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut self.state.lock().idle);
        idle.into_iter().for_each(|it| it.link.leave());
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
