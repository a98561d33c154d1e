//! Functions with `#[runspace::job]`: jobs that are called by name.

use std::fmt;
use std::panic::Location;

use serde::{Deserialize, Serialize};

use crate::job::{Job, ProcessJobOptions};

/// What `#[runspace::job]` makes of a function: a type that holds its arguments, and the call.
///
/// It has no bounds on either: what does not fit is reported where the function is, and once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job that can be started by name",
    label = "this is not a function with `#[runspace::job]`",
    note = "put `#[runspace::job]` on the function, or start a block: `start_job!({{ .. }})`"
)]
pub trait NamedJob: Sized {
    /// What it answers.
    type Output;
    /// What it is registered and approved as.
    const NAME: &'static str;

    /// Starts it with the arguments.
    #[track_caller]
    fn start(self, options: ProcessJobOptions) -> Job<Self::Output>;
}

/// A named job of this program, as the registry has it.
#[derive(Clone, Copy, Debug)]
pub struct NamedEntry {
    name: &'static str,
    location: &'static Location<'static>,
}

impl NamedEntry {
    /// That of the function whose attribute calls this.
    #[track_caller]
    #[must_use]
    pub const fn of<J: NamedJob>() -> Self {
        Self {
            name: J::NAME,
            location: Location::caller(),
        }
    }
}

/// What a named job can take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a named job",
    label = "the job gets this value as bytes, in another process",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`, and `Send`: `#[derive(Serialize, Deserialize)]` on it, or take what the value is made from"
)]
pub trait Parameter {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + Deserialize<'static> + Send> Parameter for T {}

/// `parameter()(argument)` is an argument, at the type of its parameter.
pub fn parameter<T: Parameter + 'static>() -> fn(T) -> T {
    |argument| argument
}

inventory::collect!(NamedEntry);

/// Where the jobs of this name are.
pub(crate) fn places(name: &str) -> Vec<&'static Location<'static>> {
    let entries = inventory::iter::<NamedEntry>.into_iter();
    let mut places: Vec<_> = entries
        .filter(|it| it.name == name)
        .map(|it| it.location)
        .collect();
    // The registry is in whatever order the linker has made.
    places.sort();
    places
}

/// A function with `#[runspace::job]`. Prints as `images::resize (src/images.rs:12:1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownJob {
    name: &'static str,
    location: &'static Location<'static>,
}

impl KnownJob {
    /// The name it is approved by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it is in the source.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl fmt::Display for KnownJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.location)
    }
}

/// The functions with `#[runspace::job]` in this program and in all it is linked with, by name. A name
/// that occurs twice is listed twice; it cannot be [approved](crate::policy::approve_job).
///
/// ```standalone_crate
/// // This program has none.
/// assert!(runspace::policy::known_jobs().is_empty());
/// ```
#[must_use]
pub fn known_jobs() -> Vec<KnownJob> {
    let entries = inventory::iter::<NamedEntry>.into_iter();
    let mut jobs: Vec<_> = entries
        .map(|it| KnownJob {
            name: it.name,
            location: it.location,
        })
        .collect();
    jobs.sort();
    jobs
}
