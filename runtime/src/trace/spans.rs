//! Spans of calls, items and jobs.

use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use tracing::dispatcher::{self, DefaultGuard, Dispatch};
use tracing::field::{Empty, display};
#[cfg(feature = "process")]
use tracing::level_filters::LevelFilter;
use tracing::span::EnteredSpan;
use tracing::subscriber::NoSubscriber;
use tracing::{Level, Span, debug_span, info_span, span_enabled};

use super::Runner;
#[cfg(feature = "process")]
use super::Said;
use crate::error::drop_quietly;
use crate::sync::Mutex;

/// Has a subscriber hear of something. One that panics is no reason for an item, a job or a thread to
/// come to another end: the panic hook has told of it, and the program goes on.
fn tell<R>(say: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(say))
        .map_err(drop_quietly)
        .ok()
}

/// The span that code belongs to, and the subscriber of those who had it run: handed on to the threads
/// that work for it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    span: Option<Span>,
    /// The span is of our making, not the caller's.
    is_own: bool,
    /// The default of the caller's thread, which need not be that of the program.
    subscriber: Option<Dispatch>,
}

/// This thread is in a [`Place`] until it is dropped.
#[derive(Debug)]
pub(crate) struct InPlace {
    // In this order: the subscriber hears of the end of the span.
    span: Option<EnteredSpan>,
    _subscriber: Option<DefaultGuard>,
}

impl Drop for InPlace {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            tell(|| drop(span));
        }
    }
}

impl Place {
    /// The place of what begins here: in `own`, or in the caller's span where nobody wants that one.
    fn new(own: impl FnOnce() -> Span) -> Self {
        tell(|| Self::of(own())).unwrap_or_default()
    }

    fn of(own: Span) -> Self {
        let is_own = !own.is_disabled();
        let span = if is_own { own } else { Span::current() };
        let current = |it: &Dispatch| (!it.is::<NoSubscriber>()).then(|| it.clone());
        Self {
            span: (!span.is_disabled()).then_some(span),
            is_own,
            subscriber: dispatcher::get_default(current),
        }
    }

    /// Puts this thread there.
    pub(crate) fn enter(mut self) -> InPlace {
        InPlace {
            _subscriber: self.subscriber.as_ref().map(dispatcher::set_default),
            span: self.span.take().and_then(|it| tell(|| it.entered())),
        }
    }

    /// Says what has become of it.
    pub(crate) fn end(self, outcome: &dyn fmt::Display) {
        if let (Some(span), true) = (&self.span, self.is_own) {
            tell(|| span.record("outcome", display(outcome)));
        }
    }
}

impl Clone for Place {
    fn clone(&self) -> Self {
        Self {
            span: self.span.as_ref().and_then(|it| tell(|| it.clone())),
            is_own: self.is_own,
            subscriber: self.subscriber.clone(),
        }
    }
}

/// A span may be the last of its kind to hold the caller's, and lets go of that through the subscriber of
/// the thread it ends on.
impl Drop for Place {
    fn drop(&mut self) {
        match (self.span.take(), &self.subscriber) {
            (Some(span), Some(subscriber)) => {
                tell(|| dispatcher::with_default(subscriber, || drop(span)));
            }
            (Some(span), None) => {
                tell(|| drop(span));
            }
            (None, _) => {}
        }
    }
}

/// A call that begins.
pub(crate) fn call(
    name: Option<&str>,
    location: &'static Location<'static>,
    throttle: usize,
    items: Option<u64>,
) -> Place {
    Place::new(|| {
        info_span!(
            target: "runspace",
            "foreach_parallel",
            name,
            location = %location,
            throttle,
            items,
        )
    })
}

/// A job that is made, by `command`. Its name is asked for if somebody wants to know.
pub(crate) fn job(id: u64, name: impl Fn() -> Arc<str>, command: &str) -> Place {
    Place::new(|| {
        info_span!(
            target: "runspace",
            "job",
            id,
            name = &*name(),
            command,
            outcome = Empty,
        )
    })
}

/// The spans of the items of a call.
#[derive(Debug)]
pub(crate) struct Items {
    call: Place,
    title: String,
    /// Of those that run.
    open: Mutex<HashMap<u64, Span>>,
}

impl Items {
    /// `None` if nobody is interested.
    pub(crate) fn wanted(call: &Place, title: impl FnOnce() -> String) -> Option<Self> {
        let is_wanted = tell(|| span_enabled!(target: "runspace", Level::DEBUG)).unwrap_or(false);
        is_wanted.then(|| Self {
            call: call.clone(),
            title: title(),
            open: Mutex::default(),
        })
    }

    /// A try of an item begins, one of `throttle` at most.
    pub(crate) fn begin(&self, index: u64, attempt: u32, throttle: usize, runner: Runner) -> Place {
        tell(|| self.open(index, attempt, throttle, runner)).unwrap_or_default()
    }

    fn open(&self, index: u64, attempt: u32, throttle: usize, runner: Runner) -> Place {
        let span = debug_span!(
            target: "runspace",
            parent: self.call.span.as_ref().and_then(Span::id),
            "item",
            index,
            attempt,
            call = self.title,
            throttle,
            worker = Empty,
            outcome = Empty,
            error = Empty,
        );
        match runner {
            Runner::ThisThread => {
                span.record("worker", format!("{:?}", std::thread::current().id()));
            }
            #[cfg(feature = "process")]
            Runner::Process => {}
        }
        let before = self.open.lock().insert(index, span.clone());
        drop(before);
        Place {
            span: Some(span),
            is_own: true,
            subscriber: None,
        }
    }

    /// The item runs in the process of this number.
    #[cfg(feature = "process")]
    pub(crate) fn set_process(&self, index: u64, pid: u32) {
        tell(|| {
            let span = self.open.lock().get(&index).cloned();
            if let Some(span) = span {
                span.record("worker", format!("process {pid}"));
            }
        });
    }

    /// A try has ended, if it ever began.
    pub(crate) fn end(&self, index: u64, outcome: &str, error: Option<&str>) {
        let Some(span) = self.open.lock().remove(&index) else {
            return;
        };
        tell(|| {
            span.record("outcome", outcome);
            if let Some(error) = error {
                span.record("error", error);
            }
            drop(span);
        });
    }
}

/// The level up to which events of a child are records of its job, whoever else listens: debug.
#[cfg(feature = "process")]
pub(crate) const RECORDED: u8 = 4;

/// The level up to which anyone here listens to events.
#[cfg(feature = "process")]
pub(crate) fn wanted() -> u8 {
    let here = LevelFilter::current().into_level();
    let here = here.as_ref().map_or(0, number);
    super::child::limit().map_or(here, |limit| limit.min(here))
}

#[cfg(feature = "process")]
pub(super) fn number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// Raises here what was said in another process, in the span that this thread is in.
#[cfg(feature = "process")]
pub(crate) fn raise(said: &Said) {
    // What a place in the code says has one level: hence a place for each.
    macro_rules! raise {
        ($level:expr) => {
            tracing::event!(
                target: "runspace::child",
                $level,
                child.target = said.target.as_str(),
                child.pid = said.pid.unwrap_or_default(),
                child.fields = said.fields.as_str(),
                "{}",
                said.message
            )
        };
    }
    tell(|| match said.level {
        1 => raise!(Level::ERROR),
        2 => raise!(Level::WARN),
        3 => raise!(Level::INFO),
        4 => raise!(Level::DEBUG),
        _ => raise!(Level::TRACE),
    });
}
