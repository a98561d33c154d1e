//! The call as those see it who show how far it is.

use std::sync::Arc;
use std::time::Duration;

use super::observe::{End, Observer, Subject, Try, Watch};
use crate::progress::{Meter, Mode, mode};

/// What `progress = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`progress` is a title, or a `bool`, not `{Self}`",
    label = "not a title; write `progress = \"Hashing\"`"
)]
pub trait IntoProgress {
    /// What it means.
    fn into_progress(self) -> Progress;
}

/// Whether a call shows how far it is, and under which title.
#[derive(Clone, Debug)]
pub enum Progress {
    /// Nothing is shown.
    Off,
    /// Under the name of the call.
    Named,
    /// Under this title.
    Titled(Arc<str>),
}

impl IntoProgress for &str {
    fn into_progress(self) -> Progress {
        Progress::Titled(self.into())
    }
}

impl IntoProgress for String {
    fn into_progress(self) -> Progress {
        Progress::Titled(self.into())
    }
}

impl IntoProgress for &String {
    fn into_progress(self) -> Progress {
        self.as_str().into_progress()
    }
}

impl IntoProgress for bool {
    fn into_progress(self) -> Progress {
        match self {
            true => Progress::Named,
            false => Progress::Off,
        }
    }
}

impl Progress {
    /// Who watches the call for that; nobody where nothing is to be shown, so that it costs nothing.
    pub(crate) fn watch(self) -> Option<Watch> {
        if matches!(self, Self::Off) || mode() == Mode::Off {
            return None;
        }
        Some(Arc::new(move |subject| -> Arc<dyn Observer> {
            let meter = Meter::start(&self.title(subject), subject.total);
            Arc::new(Shown(meter))
        }))
    }

    fn title(&self, Subject { site, .. }: &Subject) -> String {
        match (self, &site.name) {
            (Self::Titled(title), _) => title.to_string(),
            (_, Some(name)) => name.to_string(),
            (_, None) => format!("{}:{}", site.location.file(), site.location.line()),
        }
    }
}

#[derive(Debug)]
struct Shown(Meter);

impl Observer for Shown {
    fn began(&self, _: Try) {
        self.0.began();
    }

    fn ended(&self, _: Try, end: End<'_>, time: Option<Duration>) {
        match end {
            End::Good if time.is_none() => self.0.known(),
            End::Good => self.0.good(),
            End::Failed(error) if error.is_stopped() => self.0.not_run(),
            End::Bad | End::Failed(_) => self.0.failed(),
            // It is not at its end.
            End::Again => {}
            End::NotRun => self.0.not_run(),
        }
    }

    fn over(&self) {
        self.0.over();
    }
}
