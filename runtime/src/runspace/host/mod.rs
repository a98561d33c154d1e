//! A queue and the runspaces that work it off: one for a [`Runspace`](super::Runspace), a few for a
//! [`RunspacePool`](super::RunspacePool).
//!
//! [`line`] decides who runs where; what it decides is carried out here, without its lock. [`serve`]
//! is the life of a runspace's thread.
//!
//! Threads are the host's own and not the kept ones of the crate: they are named after their
//! runspace, and what a body leaves in a thread-local variable is there for the next one and gone
//! with the runspace.

mod limits;
mod line;
mod numbers;
mod seat;
mod serve;
mod slot;
mod work;

#[cfg(all(test, not(loom)))]
mod tests;

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(in crate::runspace) use limits::Limits;
pub use limits::LimitsError;
pub(in crate::runspace) use numbers::Numbers;
pub(in crate::runspace) use seat::Seat;
pub(in crate::runspace) use serve::RUNSPACES;
pub(in crate::runspace) use work::{Kind, Work};

use line::{Line, Step};
use seat::Closing;
use slot::{Order, Slot};

use super::context::RunspaceContext;
use super::invocation::InvocationErrorKind;
use crate::debug;
use crate::foreach::executor::Resize;
use crate::per_process::Owner;
use crate::sync::{Condvar, Mutex};
use crate::waits::{self, Yield};

/// What a runspace runs before anything else.
pub(in crate::runspace) type Init = Arc<dyn Fn(&mut RunspaceContext) + Send + Sync>;

pub(in crate::runspace) struct Host {
    id: u64,
    /// Whose its threads are.
    owner: Owner,
    name: Arc<str>,
    /// A runspace of its own, rather than a pool.
    is_single: bool,
    init: Option<Init>,
    idle_timeout: Duration,
    line: Mutex<Line>,
    quiet: Condvar,
    /// For the names of a pool's runspaces.
    opened: Numbers,
    /// Calls whose throttle is the maximum.
    followers: Mutex<Vec<Weak<dyn Resize>>>,
}

// Made and asked.
/// What the text of an error calls a runspace or a pool.
pub(in crate::runspace) struct Title {
    is_single: bool,
    name: Arc<str>,
}

impl fmt::Display for Title {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_single { "runspace" } else { "pool" };
        write!(f, "{kind} `{}`", self.name)
    }
}

impl Host {
    pub(in crate::runspace) fn single(id: u64, name: Arc<str>) -> Self {
        let limits = Limits { min: 1, max: 1 };
        Self {
            id,
            owner: Owner::this(),
            name,
            is_single: true,
            init: None,
            idle_timeout: Duration::MAX,
            line: Mutex::new(Line::new(limits, false)),
            quiet: Condvar::new(),
            opened: Numbers::new(),
            followers: Mutex::default(),
        }
    }

    pub(in crate::runspace) fn pool(
        id: u64,
        name: Arc<str>,
        limits: Limits,
        init: Option<Init>,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            id,
            owner: Owner::this(),
            name,
            is_single: false,
            init,
            idle_timeout,
            line: Mutex::new(Line::new(limits, true)),
            quiet: Condvar::new(),
            opened: Numbers::new(),
            followers: Mutex::default(),
        }
    }

    pub(in crate::runspace) fn id(&self) -> u64 {
        self.id
    }

    pub(in crate::runspace) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The name by which the text of an error calls it.
    pub(in crate::runspace) fn title(&self) -> Title {
        Title {
            is_single: self.is_single,
            name: Arc::clone(&self.name),
        }
    }

    pub(in crate::runspace) fn limits(&self) -> Limits {
        self.line.lock().limits
    }

    pub(in crate::runspace) fn running(&self) -> usize {
        self.line.lock().running().len()
    }

    pub(in crate::runspace) fn queued(&self) -> usize {
        self.line.lock().queued()
    }

    pub(in crate::runspace) fn alive(&self) -> usize {
        self.line.lock().alive()
    }

    /// How much could begin at once.
    pub(in crate::runspace) fn available(&self) -> usize {
        let line = self.line.lock();
        if line.is_closing() {
            return 0;
        }
        line.limits.max.saturating_sub(line.running().len())
    }

    pub(in crate::runspace) fn is_closing(&self) -> bool {
        self.line.lock().is_closing()
    }

    pub(in crate::runspace) fn is_closed(&self) -> bool {
        let line = self.line.lock();
        line.is_closing() && line.is_quiet()
    }

    /// What has to end before this work can begin, as far as that is certain: the work that has the
    /// one runspace that it needs.
    pub(in crate::runspace) fn ahead_of(&self, id: u64) -> Option<Vec<Arc<Seat>>> {
        let line = self.line.lock();
        let queued = line.is_queued(id);
        queued.then(|| match self.is_single {
            true => line.running().to_vec(),
            false => Vec::new(),
        })
    }
}

impl Host {
    /// The work that has the runspaces, if this is queued: on a pool one of them has to end, or to wait, before this
    /// can begin.
    pub(in crate::runspace) fn running_before(&self, id: u64) -> Vec<Arc<Seat>> {
        let line = self.line.lock();
        match line.is_queued(id) {
            true => line.running().to_vec(),
            false => Vec::new(),
        }
    }

    /// All that has to end before the host is closed.
    pub(in crate::runspace) fn left(&self) -> Vec<Arc<Seat>> {
        self.line.lock().left()
    }
}

// Changed.
impl Host {
    /// Puts work in the line, and on a runspace if it is its turn. It comes back if nothing is
    /// taken any more.
    pub(in crate::runspace) fn start(self: &Arc<Self>, work: Work) -> Result<(), Work> {
        if let Err(error) = self.owner.check(self.title()) {
            work.end_unrun(InvocationErrorKind::NoThread(error));
            return Ok(());
        }
        let step = self.line.lock().arrive(work)?;
        self.carry_out(step);
        Ok(())
    }

    /// Takes work out of the line that has not begun.
    pub(in crate::runspace) fn cancel(&self, id: u64) -> Option<Work> {
        self.line.lock().cancel(id)
    }

    /// Lets in what other work waits for, as far as there is room.
    pub(in crate::runspace) fn lend(self: &Arc<Self>) {
        loop {
            let step = self.line.lock().lend();
            if step.is_none() {
                return;
            }
            self.carry_out(step);
        }
    }

    /// Changes one of the limits, or both.
    pub(in crate::runspace) fn set_limits(
        self: &Arc<Self>,
        change: impl FnOnce(Limits) -> Limits,
    ) -> Result<(), LimitsError> {
        let (dismissed, idle) = {
            let mut line = self.line.lock();
            let limits = change(line.limits).check()?;
            (line.set_limits(limits), line.idle())
        };
        dismissed.iter().for_each(|it| it.give(Order::Leave));
        // With a lower minimum they may go in their time, with a higher one they may not.
        idle.iter().for_each(|it| it.give_if_empty(Order::Look));
        self.carry_on();
        self.lend();
        let followers: Vec<_> = {
            let followers = self.followers.lock();
            followers.iter().filter_map(Weak::upgrade).collect()
        };
        let max = self.limits().max;
        followers.iter().for_each(|it| it.resize(max));
        Ok(())
    }

    /// Tells `call` of a new maximum, as long as it is there.
    pub(in crate::runspace) fn follow(&self, call: Weak<dyn Resize>) {
        let mut followers = self.followers.lock();
        followers.retain(|it| it.strong_count() > 0);
        followers.push(call);
    }

    /// Opens the runspace that there is before any work for it.
    pub(in crate::runspace) fn open(self: &Arc<Self>) -> io::Result<()> {
        let slot = Arc::new(Slot::default());
        self.line.lock().open_idle(&slot);
        self.open_thread(slot, None)
    }

    /// Lets in what can be let in.
    fn carry_on(self: &Arc<Self>) {
        loop {
            let step = self.line.lock().step();
            if step.is_none() {
                return;
            }
            self.carry_out(step);
        }
    }

    fn carry_out(self: &Arc<Self>, step: Option<Step>) {
        match step {
            None => {}
            Some(Step::Give(slot, work)) => slot.give(Order::Run(work)),
            Some(Step::Open(work)) => {
                let opened = self.open_thread(Arc::default(), Some(work.clone()));
                if let Err(error) = opened {
                    self.without_thread(work, error);
                }
            }
            Some(Step::Beside(work)) => {
                if let Err(error) = self.open_beside(work.clone()) {
                    self.beside_done(&work.seat);
                    work.end_unrun(InvocationErrorKind::NoThread(error));
                }
            }
        }
    }

    /// There was no thread for a runspace. The work is left to the other runspaces; if there are
    /// none it fails, and what stands behind it is tried in turn.
    fn without_thread(self: &Arc<Self>, work: Work, error: io::Error) {
        let put_back = self.line.lock().open_failed(work);
        match put_back {
            Ok(step) => self.carry_out(step),
            Err(work) => {
                work.end_unrun(InvocationErrorKind::NoThread(error));
                self.carry_on();
                self.note_quiet();
            }
        }
    }

    fn note_quiet(&self) {
        if self.line.lock().is_quiet() {
            self.quiet.notify_all();
        }
    }
}

impl debug::Tell for Host {
    fn heading(&self) -> &'static str {
        "runspaces and pools"
    }

    fn tell(&self, out: &mut String) {
        let title = self.title();
        let Some(line) = self.line.try_lock() else {
            return debug::line(out, 1, format_args!("{title}: busy"));
        };
        let (alive, idle, beside, leaving) = line.counts();
        let (running, queue) = (line.running().to_vec(), line.queue());
        let (max, closing) = (line.limits.max, line.is_closing());
        drop(line);
        let closing = if closing { ", closing" } else { "" };
        let queued = queue.len();
        let busy = running.len();
        debug::line(
            out,
            1,
            format_args!(
                "{title}{closing}: {alive} of {max} threads, {idle} idle, {beside} let in beside them, {leaving} \
                 leaving; {busy} running, {queued} queued"
            ),
        );
        let mut seats: Vec<_> = running.iter().map(|it| (it, "runs")).collect();
        seats.extend(queue.iter().map(|it| (&it.seat, "is queued")));
        for (seat, state) in seats {
            match seat.teller() {
                Some(core) => core.tell(2, out),
                None => debug::line(out, 2, format_args!("{} {state}", debug::Name(seat.name()))),
            }
        }
        debug::let_go((running, queue));
    }
}

/// How long the end of a pool waits for somebody to read what its workers have made.
const UNREAD_GRACE: Duration = Duration::from_secs(1);

// Closed.
impl Host {
    /// Takes nothing new from now on, and waits until all that is there has ended. It does not wait
    /// where that would be waiting for its caller, nor for ever for a worker whose call nobody reads: who closes
    /// may be who reads it later.
    pub(in crate::runspace) fn close(self: &Arc<Self>) {
        if !self.owner.is_this() {
            return;
        }
        let (dismissed, pending) = {
            let mut line = self.line.lock();
            (line.close(), line.pending())
        };
        dismissed.iter().for_each(|it| it.give(Order::Leave));
        // What is there is needed, and the state that a runspace drops has to be gone, too.
        let closing = Closing::of(self) as Arc<dyn waits::Work>;
        let pending = pending.into_iter().map(|it| it as Arc<dyn waits::Work>);
        let targets = pending.chain([closing]).collect();
        let host = Arc::downgrade(self);
        let yields = Yield::new(move || host.upgrade().iter().for_each(|it| it.tell_closers()));
        let Ok(_waiting) = waits::begin_yielding(targets, &yields) else {
            return;
        };
        let _waits =
            debug::wait(|| format!("the end of all that {} runs, to close it", self.title()));
        let mut line = self.line.lock();
        while !line.is_quiet() && !yields.is_given_up() {
            let unread = line.unread();
            let late;
            (line, late) = match unread {
                Some(_) => self.quiet.wait_timeout(line, UNREAD_GRACE),
                None => (self.quiet.wait(line), false),
            };
            if late && unread.is_some() && line.unread() == unread {
                return;
            }
        }
    }

    /// Has those look who wait for the end.
    fn tell_closers(&self) {
        drop(self.line.lock()); // or one that is about to sleep would miss it
        self.quiet.notify_all();
    }

    /// The work of one of the runspaces waits for somebody to read what it has made, or has ended that.
    pub(in crate::runspace) fn set_unread(&self, is_unread: bool) {
        let mut line = self.line.lock();
        line.set_unread(is_unread);
        if line.is_closing() && line.unread().is_some() {
            self.quiet.notify_all();
        }
    }

    /// Asks all that runs to stop and ends what has not begun. Workers of parallel calls are left
    /// to their calls.
    pub(in crate::runspace) fn stop_all(&self) {
        let pending = self.line.lock().pending();
        // From behind, or what waits would begin when what runs has ended.
        pending.iter().rev().for_each(|it| it.stop());
    }
}
