//! The life of a runspace's thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::line::Next;
use super::numbers::Numbers;
use super::seat::Seat;
use super::slot::{Order, Slot};
use super::work::{Kind, Work};
use super::{Host, Init};
use crate::error::PanicPayload;
use crate::runspace::context::RunspaceContext;
use crate::runspace::here;
use crate::runspace::invocation::End;

/// What a runspace is called.
struct Identity {
    id: u64,
    name: Arc<str>,
}

/// The numbers of runspaces, whether alone or in a pool.
pub(in crate::runspace) static RUNSPACES: Numbers = Numbers::new();

impl Host {
    /// Opens a runspace that begins with `first`, or as an idle one.
    pub(super) fn open_thread(
        self: &Arc<Self>,
        slot: Arc<Slot>,
        first: Option<Work>,
    ) -> io::Result<()> {
        let host = Arc::clone(self);
        self.spawn(move |identity| host.serve(identity, &slot, first))
    }

    /// Opens a runspace for one piece of work.
    pub(super) fn open_beside(self: &Arc<Self>, work: Work) -> io::Result<()> {
        let host = Arc::clone(self);
        self.spawn(move |identity| {
            let mut runspace = Opened::new(identity);
            let end = runspace.run(&work, host.init.as_ref());
            let here = here::enter(&work.seat);
            drop(runspace);
            drop(here);
            host.beside_done(&work.seat);
            work.end(end);
        })
    }

    fn spawn(&self, life: impl FnOnce(Identity) + Send + 'static) -> io::Result<()> {
        let identity = self.identity();
        crate::harness::prepare();
        // A name with a zero in it is one that a thread cannot have.
        let name = identity.name.replace('\0', " ");
        let thread = std::thread::Builder::new().name(name);
        thread.spawn(move || life(identity)).map(drop)
    }

    fn identity(&self) -> Identity {
        if self.is_single {
            return Identity {
                id: self.id,
                name: Arc::clone(&self.name),
            };
        }
        Identity {
            id: RUNSPACES.next(),
            name: format!("{}-{}", self.name, self.opened.next()).into(),
        }
    }

    fn serve(self: &Arc<Self>, identity: Identity, slot: &Arc<Slot>, first: Option<Work>) {
        let mut runspace = Opened::new(identity);
        let mut next = first.or_else(|| self.await_work(slot));
        while let Some(work) = next {
            let end = runspace.run(&work, self.init.as_ref());
            // The place is handed on before the end is seen: whoever has waited finds it free.
            let after = self.line.lock().done(&work.seat, slot);
            work.end(end);
            next = match after {
                Next::Run(work) => Some(work),
                Next::Idle => self.await_work(slot),
                Next::Leave => None,
            };
        }
        // Destructors are code of the user's, too, and of this host: none of them can wait for its end.
        let name = format!("the end of the state of {}", self.title());
        let seat = Seat::new(Some(name.into()), Arc::downgrade(self), None);
        self.line.lock().drops_state(&seat);
        let here = here::enter(&seat);
        drop(runspace);
        drop(here);
        seat.end();
        self.line.lock().has_left(&seat);
        self.carry_on();
        self.lend();
        self.note_quiet();
    }

    /// Waits for work; `None` when the runspace has to go.
    fn await_work(&self, slot: &Arc<Slot>) -> Option<Work> {
        loop {
            match slot.take(self.patience()) {
                Some(Order::Run(work)) => return Some(work),
                Some(Order::Leave) => return None,
                Some(Order::Look) => {}
                None if self.line.lock().is_dismissed(slot) => return None,
                None => {}
            }
        }
    }

    /// How long a runspace that is idle now waits for work. For ever, when it is one of those that
    /// are kept.
    fn patience(&self) -> Option<Duration> {
        let line = self.line.lock();
        (line.alive() > line.limits.min).then_some(self.idle_timeout)
    }

    /// What was let in beside the others has ended, and its runspace is gone.
    pub(super) fn beside_done(self: &Arc<Self>, seat: &Arc<Seat>) {
        self.line.lock().beside_done(seat);
        self.lend();
        self.note_quiet();
    }
}

/// A runspace, on its thread.
struct Opened {
    context: RunspaceContext,
    is_ready: bool,
}

impl Opened {
    fn new(identity: Identity) -> Self {
        Self {
            context: RunspaceContext::new(identity.id, identity.name),
            is_ready: false,
        }
    }

    fn run(&mut self, work: &Work, init: Option<&Init>) -> End {
        let _here = here::enter(&work.seat);
        match &work.kind {
            Kind::Invocation(core) => {
                let is_ready = &mut self.is_ready;
                core.run(&mut self.context, |it| prepare(it, is_ready, init))
            }
            Kind::Worker(ticket) => {
                let is_ready = &mut self.is_ready;
                let context = &mut self.context;
                ticket.run(|| prepare(context, is_ready, init));
                Ok(())
            }
        }
    }
}

/// Runs the pool's `init` if it has not been run here.
fn prepare(
    context: &mut RunspaceContext,
    is_ready: &mut bool,
    init: Option<&Init>,
) -> Result<(), PanicPayload> {
    if let (Some(init), false) = (init, *is_ready) {
        let caught = catch_unwind(AssertUnwindSafe(|| init(context)));
        if let Err(payload) = caught {
            context.clear(); // what half an `init` leaves is not what the next body counts on
            return Err(PanicPayload::new(payload));
        }
    }
    *is_ready = true;
    Ok(())
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.context.clear();
    }
}
