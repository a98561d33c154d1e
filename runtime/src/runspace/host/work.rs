//! What stands in a queue.

use std::sync::Arc;

use super::seat::Seat;
use crate::runspace::invocation::{Core, End, InvocationErrorKind};
use crate::runspace::pool::Ticket;

/// A piece of work and the seat that stands for it.
#[derive(Clone)]
pub(in crate::runspace) struct Work {
    pub(in crate::runspace) seat: Arc<Seat>,
    pub(in crate::runspace) kind: Kind,
}

#[derive(Clone)]
pub(in crate::runspace) enum Kind {
    Invocation(Arc<Core>),
    /// A worker of a parallel call, if it is still there when its turn comes.
    Worker(Arc<Ticket>),
}

impl Work {
    /// Says what became of it. Its place is free by then.
    pub(super) fn end(&self, end: End) {
        self.seat.end();
        if let Kind::Invocation(core) = &self.kind {
            core.finish(end);
        }
    }

    /// Ends what no runspace will run.
    pub(in crate::runspace) fn end_unrun(&self, reason: InvocationErrorKind) {
        self.seat.end();
        match &self.kind {
            Kind::Invocation(core) => core.end_unrun(reason),
            Kind::Worker(ticket) => ticket.end_unrun(reason),
        }
    }
}
