//! In a worker process: events go to the parent.
//!
//! `main` has not run there, so nobody has said what becomes of events. Unless somebody has after all,
//! a subscriber of ours sends them home, as text.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, dispatcher};

use super::Said;
use super::spans::number;

type Send = Box<dyn Fn(Said) + std::marker::Send + Sync>;

/// What sends an event home; set when the subscriber is this program's.
static HOME: OnceLock<Send> = OnceLock::new();

/// The level up to which the parent wants them now.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// From here on events up to `level` go to the parent, by `send`, unless the program has a subscriber
/// of its own.
pub(crate) fn send_home(level: u8, send: impl Fn(Said) + std::marker::Send + Sync + 'static) {
    LEVEL.store(level, Ordering::Relaxed);
    if level == 0 || HOME.get().is_some() || dispatcher::has_been_set() {
        return;
    }
    if tracing::subscriber::set_global_default(Home).is_ok() {
        let _ = HOME.set(Box::new(send));
    }
}

/// Whether the events of this process go to its parent.
pub(crate) fn forwards() -> bool {
    HOME.get().is_some()
}

/// The level up to which the parent wants to hear of events, if they go there.
pub(super) fn limit() -> Option<u8> {
    forwards().then(|| LEVEL.load(Ordering::Relaxed))
}

/// The way home. Spans stay here: the parent has one for what this process does.
struct Home;

impl Subscriber for Home {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // The level is another one with the next run.
        match metadata.is_event() {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && number(metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields(Said {
            level: number(metadata.level()),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: String::new(),
            pid: None,
        });
        event.record(&mut fields);
        if let Some(send) = HOME.get() {
            send(fields.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Takes the fields of an event in. What a child of this process has said goes on as it came.
struct Fields(Said);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "child.target" => value.clone_into(&mut self.0.target),
            "child.fields" => value.clone_into(&mut self.0.fields),
            "message" => value.clone_into(&mut self.0.message),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "child.pid" => self.0.pid = u32::try_from(value).ok(),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Said {
            message, fields, ..
        } = &mut self.0;
        let written = match field.name() {
            "message" => write!(message, "{value:?}"),
            name => {
                let gap = if fields.is_empty() { "" } else { " " };
                write!(fields, "{gap}{name}={value:?}")
            }
        };
        // A `Debug` that fails has written what it could.
        let _ = written;
    }
}
