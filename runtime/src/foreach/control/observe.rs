//! Those who watch a call: what they are told, and when.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Hears of the items of one call, from whichever thread they are on. Quick, for the call waits
/// meanwhile.
pub(crate) trait Observer: Send + Sync + fmt::Debug {
    /// A try of an item begins.
    fn began(&self, _item: Try) {}

    /// A try of an item has ended.
    fn ended(&self, _item: Try, _end: End<'_>, _time: Option<Duration>) {}

    /// The call has ended, or nobody reads its results any more. Told once.
    fn over(&self) {}
}

/// One try of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) index: u64,
    /// From 1.
    pub(crate) attempt: u32,
}

/// How a try has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    /// With a value.
    Good,
    /// With a value that is a failure.
    Bad,
    /// Without a value, for this reason.
    Failed(&'a crate::error::ItemError),
    /// In a way that another try follows.
    Again,
    /// It never began: the call had ended.
    NotRun,
}

impl End<'_> {
    /// In a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "bad",
            Self::Failed(error) if error.is_stopped() => "stopped",
            Self::Failed(_) => "failed",
            Self::Again => "again",
            Self::NotRun => "not run",
        }
    }

    /// What went wrong, where that is known.
    pub(crate) fn error(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(error.what().to_string()),
            _ => None,
        }
    }
}

/// What an observer knows of its call from the start.
#[cfg_attr(
    feature = "progress",
    expect(dead_code, reason = "who wants the throttle is still to come")
)]
#[cfg_attr(
    not(feature = "progress"),
    expect(dead_code, reason = "nobody watches without the feature")
)]
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The call, in words.
    pub(crate) site: crate::error::CallSite,
    /// How many items there are, if the input says so.
    pub(crate) total: Option<u64>,
    pub(crate) throttle: usize,
}

/// Makes the observer of a call that starts.
pub(crate) type Watch = Arc<dyn Fn(&Subject) -> Arc<dyn Observer> + Send + Sync>;
