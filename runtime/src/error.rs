//! What can go wrong with one item, and the panic payloads that travel between threads.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{Origin, report};
#[cfg(feature = "process")]
use crate::process::ProcessError;
use crate::sync::Mutex;

/// The value a panic carried, kept whole so that it can be raised again elsewhere.
pub struct PanicPayload {
    message: Arc<str>,
    /// The failure of another call that was raised again with it, as a text.
    failure: Option<Box<str>>,
    // In a mutex only so that errors are `Sync`, as error-handling crates ask of them.
    value: Mutex<Option<Box<dyn Any + Send>>>,
    /// The thread that panicked, in a program of tests.
    origin: Option<Origin>,
}

impl PanicPayload {
    pub(crate) fn new(value: Box<dyn Any + Send>) -> Self {
        let message = if let Some(text) = value.downcast_ref::<&'static str>() {
            Arc::from(*text)
        } else if let Some(text) = value.downcast_ref::<String>() {
            Arc::from(text.as_str())
        } else {
            Arc::from("a value that is not a string")
        };
        Self {
            message,
            failure: None,
            value: Mutex::new(Some(value)),
            origin: Origin::here(),
        }
    }

    /// The same, of a panic in another process.
    #[cfg(feature = "process")]
    pub(crate) fn from_elsewhere(message: String) -> Self {
        Self {
            message: Arc::from(message.as_str()),
            failure: None,
            value: Mutex::new(Some(Box::new(message))),
            origin: None,
        }
    }

    /// A panic that an input has let out. It may be the failure of another call, whose results the input
    /// reads.
    pub(crate) fn of_input(value: Box<dyn Any + Send>) -> Self {
        let mut payload = Self::new(value);
        payload.failure = Raised::take_if_of(&payload.message);
        payload
    }

    /// The panic's message; for a payload that is not a string, words that say so.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The value itself, for `downcast` or [`resume_unwind`].
    #[must_use]
    pub fn into_value(self) -> Box<dyn Any + Send> {
        let value = self.value.lock().take();
        value.unwrap_or_else(|| Box::new(self.message.to_string()))
    }

    /// Raises the panic again on this thread, without a second report on stderr. (In a program that `cargo test` runs there is one: the
    /// first has gone to the output of the test that started the thread, which may be another.)
    pub fn resume(self) -> ! {
        report(
            self.origin.as_ref(),
            format_args!("panicked: {}", self.message),
        );
        self.raise()
    }

    /// The same for an error that says more.
    pub(crate) fn resume_as(self, text: &str) -> ! {
        report(self.origin.as_ref(), text);
        self.raise()
    }

    /// The same without any report.
    pub(crate) fn raise(self) -> ! {
        resume_unwind(self.into_value())
    }
}

impl Drop for PanicPayload {
    fn drop(&mut self) {
        let value = self.value.lock().take();
        // A payload may panic while it is dropped; whoever drops an error has not asked for that.
        drop_quietly(value);
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PanicPayload").field(&self.message).finish()
    }
}

thread_local! {
    /// The failure that was raised last on this thread.
    static RAISED: Cell<Option<Box<Raised>>> = const { Cell::new(None) };
}

/// A failure that was raised again where its results are read. A panic carries no more than its payload, and
/// an input that lets it out would be blamed for it.
pub(crate) struct Raised {
    message: Arc<str>,
    /// Which item of which call, and what has happened to it.
    text: Box<str>,
}

impl Raised {
    fn keep(message: &str, text: String) {
        let raised = Self {
            message: message.into(),
            text: text.into(),
        };
        // A thread that ends raises nothing that is asked for later.
        let _ = RAISED.try_with(|it| it.set(Some(Box::new(raised))));
    }

    /// Forgets what was raised before.
    pub(crate) fn forget() {
        let _ = RAISED.try_with(Cell::take);
    }

    fn take_if_of(message: &str) -> Option<Box<str>> {
        let raised = RAISED.try_with(Cell::take).ok().flatten()?;
        (*raised.message == *message).then_some(raised.text)
    }
}

/// Drops a value of the user's; answers the panic of its destructor instead of raising it.
pub(crate) fn drop_caught<T>(value: T) -> Result<(), PanicPayload> {
    catch_unwind(AssertUnwindSafe(move || drop(value))).map_err(PanicPayload::new)
}

/// Drops a value of the user's where a panic of its destructor has nowhere to go.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        // A payload whose own destructor panics could go on for ever: leak it.
        std::mem::forget(payload);
    }
}

/// Why an item, or the call as a whole, has no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The body panicked on this item.
    Panicked(PanicPayload),
    /// The call was stopped before this item was finished; nothing failed. A value that the body returned after it was
    /// told to stop, without a word that it had [`finished`](crate::finished), is dropped.
    Stopped,
    /// The body took longer than the call's `timeout`, which was this when it was given up.
    TimedOut(Duration),
    /// The call took longer than its `deadline`.
    DeadlinePassed {
        /// The deadline, counted from the start of the call.
        limit: Duration,
        /// Whether the item had begun.
        started: bool,
    },
    /// The input iterator panicked where this item should have come from. The items before it are
    /// not affected; there are none after it.
    ///
    /// Where the input is the results of another call, as in a [`pipeline!`](crate::pipeline), and it is the
    /// failure of one of that call's items, the text of the error says which item of which call.
    InputPanicked(PanicPayload),
    /// An expression in `init(..)` panicked, so that no item could run on that worker.
    InitPanicked(PanicPayload),
    /// A value panicked while it was dropped: a captured value, an `init(..)` value or the input, after the items;
    /// with an [`index`](ItemError::index), the item itself, or the copy of it that was kept for another try, outside of
    /// the body. In the body it is [`Panicked`](Self::Panicked).
    DropPanicked(PanicPayload),
    /// The call's `journal` cannot be used, or has not got all that it should.
    #[cfg(feature = "journal")]
    Journal(crate::foreach::JournalError),
    /// The system gave no thread to run on.
    NoThread(io::Error),
    /// The worker process has not brought the item to its end: it crashed, was killed, could not be
    /// started, or a value could not be sent.
    #[cfg(feature = "process")]
    Process(ProcessError),
    /// The cluster has not brought the item to its end, or cannot be used.
    #[cfg(feature = "cluster")]
    Cluster(crate::cluster::ClusterError),
}

/// One item of a parallel call that has no value: which, why, and from which line of the source.
///
/// ```
/// use runspace::{Cause, foreach_parallel};
///
/// let outcomes: Vec<_> = foreach_parallel!(["1", "x"], ordered = true, |text| {
///     text.parse::<i32>().expect("a number")
/// })
/// .outcomes()
/// .collect();
/// assert_eq!(*outcomes[0].as_ref().unwrap(), 1);
/// let error = outcomes[1].as_ref().unwrap_err();
/// assert_eq!(error.index(), Some(1));
/// assert!(matches!(error.cause(), Cause::Panicked(_)));
/// assert!(error.to_string().contains("a number"));
/// ```
#[derive(Debug)]
pub struct ItemError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    index: Option<u64>,
    attempt: u32,
    cause: Cause,
    call: CallSite,
}

/// Where a call stands in the user's source, and what the user named it.
#[derive(Clone, Debug)]
pub(crate) struct CallSite {
    pub(crate) location: &'static Location<'static>,
    pub(crate) name: Option<Arc<str>>,
}

impl CallSite {
    /// The name of the call, or else its place.
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => name.as_ref().to_owned(),
            None => self.location.to_string(),
        }
    }
}

impl fmt::Display for CallSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "`{name}` ({})", self.location),
            None => write!(f, "the call at {}", self.location),
        }
    }
}

impl ItemError {
    pub(crate) fn new(index: Option<u64>, cause: Cause, call: CallSite) -> Self {
        Self {
            inner: Box::new(Inner {
                index,
                attempt: 1,
                cause,
                call,
            }),
        }
    }

    pub(crate) fn with_attempt(mut self, attempt: u32) -> Self {
        self.inner.attempt = attempt;
        self
    }

    /// The item's place in the input, from 0. `None` when no single item is at fault: see
    /// [`Cause::InitPanicked`], [`Cause::DropPanicked`], [`Cause::NoThread`].
    #[must_use]
    pub fn index(&self) -> Option<u64> {
        self.inner.index
    }

    /// Which try this was, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.attempt
    }

    /// What happened.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.inner.cause
    }

    /// What happened, by value.
    #[must_use]
    pub fn into_cause(self) -> Cause {
        self.inner.cause
    }

    /// The macro call in the source whose item this is, or the stage in a [`pipeline!`](crate::pipeline).
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.inner.call.location
    }

    /// The `name = ..` of the call, if it has one.
    #[must_use]
    pub fn call_name(&self) -> Option<&str> {
        self.inner.call.name.as_deref()
    }

    /// What happened, without saying to which item.
    pub(crate) fn what(&self) -> impl fmt::Display {
        What(self)
    }

    /// The same in the words that all failures of the kind have: without limits that change from item to item,
    /// numbers of processes, and what those have said.
    pub(crate) fn kind(&self) -> String {
        match &self.inner.cause {
            Cause::TimedOut(_) => "was given up after its timeout".to_owned(),
            #[cfg(feature = "process")]
            Cause::Process(error) => format!("failed: {}", error.kind()),
            _ => self.what().to_string(),
        }
    }

    /// Whether the item was only stopped, rather than failed.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.inner.cause, Cause::Stopped)
    }

    /// Panics on this thread with what happened: the original payload if there is one, else this
    /// error's text.
    #[track_caller]
    pub fn resume(self) -> ! {
        let text = self.to_string();
        let failure = match &self.inner.cause {
            Cause::InputPanicked(payload) => payload.failure.as_deref(),
            _ => None,
        };
        let failure = failure.map_or_else(|| text.clone(), str::to_owned);
        Raised::keep(self.inner.cause.panic_message().unwrap_or(&text), failure);
        match self.inner.cause {
            Cause::Panicked(payload)
            | Cause::InputPanicked(payload)
            | Cause::InitPanicked(payload)
            | Cause::DropPanicked(payload) => payload.resume_as(&text),
            Cause::Stopped
            | Cause::TimedOut(_)
            | Cause::DeadlinePassed { .. }
            | Cause::NoThread(_) => panic!("{text}"),
            #[cfg(feature = "journal")]
            Cause::Journal(_) => panic!("{text}"),
            #[cfg(feature = "process")]
            Cause::Process(_) => panic!("{text}"),
            #[cfg(feature = "cluster")]
            Cause::Cluster(_) => panic!("{text}"),
        }
    }
}

impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            index,
            attempt,
            call,
            ..
        } = &*self.inner;
        match index {
            Some(index) => write!(f, "item {index} of {call} ")?,
            None => write!(f, "{call} ")?,
        }
        write!(f, "{}", self.what())?;
        match attempt {
            1 => Ok(()),
            _ => write!(f, " (try {attempt})"),
        }
    }
}

/// The text of an error, from its verb on.
struct What<'a>(&'a ItemError);

impl fmt::Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { index, cause, .. } = &*self.0.inner;
        cause.tell(*index, f)
    }
}

impl Cause {
    /// What has happened to an item, without saying to which.
    #[cfg(feature = "journal")]
    pub(crate) fn item_text(&self) -> String {
        struct OfItem<'a>(&'a Cause);

        impl fmt::Display for OfItem<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.tell(Some(0), f)
            }
        }

        OfItem(self).to_string()
    }

    /// The message of the panic that it is.
    fn panic_message(&self) -> Option<&str> {
        match self {
            Cause::Panicked(payload)
            | Cause::InputPanicked(payload)
            | Cause::InitPanicked(payload)
            | Cause::DropPanicked(payload) => Some(payload.message()),
            _ => None,
        }
    }

    /// What has happened to the item, or to the call, from the verb on.
    fn tell(&self, index: Option<u64>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Panicked(payload) => write!(f, "panicked: {}", payload.message()),
            Cause::Stopped => write!(f, "was stopped before it finished"),
            Cause::TimedOut(limit) => write!(f, "was given up after its timeout of {limit:?}"),
            Cause::DeadlinePassed { limit, started } => match (index, started) {
                (Some(_), true) => write!(f, "was not finished within the deadline of {limit:?}"),
                (Some(_), false) => write!(f, "was not started within the deadline of {limit:?}"),
                (None, _) => write!(
                    f,
                    "had not taken all of its input when its deadline of {limit:?} passed"
                ),
            },
            Cause::InputPanicked(payload) => match &payload.failure {
                Some(failure) => write!(f, "was never made: {failure}"),
                None => write!(
                    f,
                    "was never made: the input panicked: {}",
                    payload.message()
                ),
            },
            Cause::InitPanicked(payload) => {
                write!(f, "could not start: init panicked: {}", payload.message())
            }
            Cause::DropPanicked(payload) => {
                write!(
                    f,
                    "ran, but a value it owned panicked when dropped: {}",
                    payload.message()
                )
            }
            #[cfg(feature = "journal")]
            Cause::Journal(error) => write!(f, "{error}"),
            #[cfg(feature = "process")]
            Cause::Process(error) => write!(f, "failed: {error}"),
            #[cfg(feature = "cluster")]
            Cause::Cluster(error) => write!(f, "failed: {error}"),
            Cause::NoThread(error) => {
                write!(
                    f,
                    "has no thread to run on: {error}; lower the throttle or raise the limit"
                )
            }
        }
    }
}

impl Error for ItemError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.inner.cause {
            Cause::NoThread(error) => Some(error),
            #[cfg(feature = "journal")]
            Cause::Journal(error) => Some(error),
            #[cfg(feature = "cluster")]
            Cause::Cluster(error) => Some(error),
            _ => None,
        }
    }
}
