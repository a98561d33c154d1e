//! What stands for spans and events without the feature `tracing`.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::Runner;
#[cfg(feature = "process")]
use super::Said;

/// No surroundings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place;

/// No way back either.
#[derive(Debug)]
pub(crate) struct InPlace;

impl Place {
    #[expect(
        clippy::unused_self,
        reason = "the feature `tracing` has one that does"
    )]
    pub(crate) fn enter(self) -> InPlace {
        InPlace
    }

    #[expect(
        clippy::unused_self,
        reason = "the feature `tracing` has one that does"
    )]
    pub(crate) fn end(self, _: &dyn fmt::Display) {}
}

pub(crate) fn call(
    _: Option<&str>,
    _: &'static Location<'static>,
    _: usize,
    _: Option<u64>,
) -> Place {
    Place
}

pub(crate) fn job(_: u64, _: impl Fn() -> Arc<str>, _: &str) -> Place {
    Place
}

/// There are none.
#[derive(Debug)]
pub(crate) enum Items {}

impl Items {
    pub(crate) fn wanted(_: &Place, _: impl FnOnce() -> String) -> Option<Self> {
        None
    }

    pub(crate) fn begin(&self, _: u64, _: u32, _: usize, _: Runner) -> Place {
        match *self {}
    }

    #[cfg(feature = "process")]
    pub(crate) fn set_process(&self, _: u64, _: u32) {
        match *self {}
    }

    pub(crate) fn end(&self, _: u64, _: &str, _: Option<&str>) {
        match *self {}
    }
}

/// The level up to which events of a child are records of its job.
#[cfg(feature = "process")]
pub(crate) const RECORDED: u8 = 0;

/// The level up to which anyone here listens to events.
#[cfg(feature = "process")]
pub(crate) fn wanted() -> u8 {
    0
}

#[cfg(feature = "process")]
pub(crate) fn raise(_: &Said) {}

/// Whether the events of this process go to its parent.
#[cfg(feature = "process")]
pub(crate) fn forwards() -> bool {
    false
}

#[cfg(feature = "process")]
pub(crate) fn send_home(_: u8, _: impl Fn(Said) + Send + Sync + 'static) {}
