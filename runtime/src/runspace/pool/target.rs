//! `on = pool(&pool)`: the workers of a parallel call on the runspaces of a pool.
//!
//! A worker holds a runspace while it has items, and gives it back when the input is behind: it is
//! queued again when there is more, first come, first served, beside invocations and other calls.
//! Where code that runs for a pool, whichever, waits for a call, it runs workers of that call
//! itself: so calls can be nested on one pool, or go back and forth between two, and none waits for
//! a runspace that waits for it.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

use super::RunspacePool;
use crate::error::{PanicPayload, drop_quietly};
use crate::foreach::Place;
use crate::foreach::executor::{Backlog, Desk, Resize, Target};
use crate::runspace::here;
use crate::runspace::host::{Host, Kind, Seat, Work};
use crate::runspace::invocation::InvocationErrorKind;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, thread_local};
use crate::threads::{self, Task};
use crate::waits;

/// `on = pool(&pool)`. The throttle is the pool's maximum unless the call says otherwise, and follows it while the call
/// runs.
#[must_use]
pub fn on_pool(pool: &RunspacePool) -> Place {
    let host = Arc::clone(pool.handle.host());
    let was_open = !host.is_closing();
    Place(Arc::new(OnPool {
        host,
        was_open,
        needed: Arc::default(),
    }))
}

/// A pool, for one call.
struct OnPool {
    host: Arc<Host>,
    /// The call was made before the pool was closed: it comes to its end then.
    was_open: bool,
    /// How many wait for the workers.
    needed: Arc<AtomicUsize>,
}

impl Target for OnPool {
    fn spawn(&self, task: Task, desk: &Arc<Desk>) -> io::Result<()> {
        desk.put(task);
        let ticket = Arc::new(Ticket::new(desk));
        let work = Work {
            seat: Seat::with_need(
                Some("a parallel call".into()),
                Arc::downgrade(&self.host),
                None,
                Arc::clone(&self.needed),
            ),
            kind: Kind::Worker(Arc::clone(&ticket)),
        };
        let started = match self.host.start(work) {
            Ok(()) => ticket.started(),
            Err(_) if self.was_open => elsewhere(desk),
            Err(_) => Err(io::Error::other(format!("{} is closed", self.host.title()))),
        };
        if self.needed.load(Ordering::SeqCst) > 0 {
            self.host.lend();
        }
        // If the consumer has taken the task in the meantime, it runs in spite of an error.
        started.or_else(|error| desk.take().map_or(Ok(()), |_| Err(error)))
    }

    fn prepare(&self) {
        prepared();
    }

    fn title(&self) -> String {
        self.host.title().to_string()
    }

    fn size(&self) -> usize {
        self.host.limits().max
    }

    fn follow(&self, call: Weak<dyn Resize>) {
        self.host.follow(call);
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn wait_for_reader(&self, _: &Arc<Backlog>) -> Option<Box<dyn Any>> {
        let seat = here::seat_on(&self.host)?;
        self.host.set_unread(true);
        let unread = Unread(Arc::clone(&self.host));
        Some(Box::new((unread, HeldUp::new(seat, &self.host))))
    }

    fn wait_for_place(&self) -> Option<Box<dyn Any>> {
        let seat = here::seat_on(&self.host)?;
        Some(Box::new(HeldUp::new(seat, &self.host)))
    }

    fn wait_for_workers(&self) -> Option<Box<dyn Any>> {
        self.needed.fetch_add(1, Ordering::SeqCst);
        self.host.lend();
        Some(Box::new(Needed(Arc::clone(&self.needed))))
    }

    fn is_here(&self) -> bool {
        waits::is_inside(|it| it.is_on_host())
    }
}

/// A reader waits for the workers.
struct Needed(Arc<AtomicUsize>);

impl Drop for Needed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A runspace whose worker waits for a reader.
struct Unread(Arc<Host>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.set_unread(false);
    }
}

/// A runspace whose worker lends it for as long as it waits.
struct HeldUp(Arc<Seat>);

impl HeldUp {
    fn new(seat: Arc<Seat>, host: &Arc<Host>) -> Self {
        seat.set_held_up(true);
        host.lend();
        Self(seat)
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.0.set_held_up(false);
    }
}

impl fmt::Debug for OnPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnPool")
            .field(&self.host.title().to_string())
            .finish()
    }
}

/// Runs a worker on a kept thread instead.
fn elsewhere(desk: &Arc<Desk>) -> io::Result<()> {
    let desk = Arc::clone(desk);
    threads::spawn(Box::new(move || desk.run_one()))
}

/// A worker's place in the line of a pool.
pub(in crate::runspace) struct Ticket {
    desk: Arc<Desk>,
    start: Mutex<Start>,
}

enum Start {
    UnderWay,
    Failed(io::Error),
    /// The call counts on it.
    Done,
}

impl Ticket {
    pub(in crate::runspace) fn new(desk: &Arc<Desk>) -> Self {
        Self {
            desk: Arc::clone(desk),
            start: Mutex::new(Start::UnderWay),
        }
    }

    fn started(&self) -> io::Result<()> {
        match std::mem::replace(&mut *self.start.lock(), Start::Done) {
            Start::Failed(error) => Err(error),
            Start::UnderWay | Start::Done => Ok(()),
        }
    }

    /// Runs a worker, if one is left. A failed `prepare` is for the worker to tell; see [`prepared`].
    pub(in crate::runspace) fn run(&self, prepare: impl FnOnce() -> Result<(), PanicPayload>) {
        if !self.desk.has_some() {
            return;
        }
        let failure = prepare().err();
        UNPREPARED.with(|it| drop(it.replace(failure)));
        let caught = catch_unwind(AssertUnwindSafe(|| self.desk.run_one()));
        UNPREPARED.with(|it| drop(it.take()));
        if let Err(payload) = caught {
            drop_quietly(payload);
        }
    }

    /// There is no thread for the runspace that was to run it. While the call waits to hear whether
    /// it has started it is told; later it has to run somewhere.
    pub(in crate::runspace) fn end_unrun(&self, reason: InvocationErrorKind) {
        let mut start = self.start.lock();
        if let (Start::UnderWay, InvocationErrorKind::NoThread(error)) = (&*start, reason) {
            *start = Start::Failed(error);
            return;
        }
        drop(start);
        if elsewhere(&self.desk).is_err() {
            self.desk.run_one();
        }
    }
}

thread_local! {
    /// The panic of the pool's `init`, while a worker runs on a runspace where it panicked.
    static UNPREPARED: RefCell<Option<PanicPayload>> = RefCell::default();
}

/// For a worker to call on its thread before anything of the user's.
///
/// # Panics
/// With the panic of the pool's `init`, if that failed here.
fn prepared() {
    let failure = UNPREPARED.try_with(RefCell::take).ok().flatten();
    if let Some(payload) = failure {
        payload.raise();
    }
}
