//! The first frames: who the two sides are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::sys::image::image;

/// Counts the changes of the protocol. Both sides say theirs; different ones do not talk.
pub(crate) const PROTOCOL: u32 = 3;

/// What both sides say of themselves. Its form does not change with the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) protocol: u32,
    /// The build of the executable.
    pub(crate) build: Vec<u8>,
}

/// What the parent says besides, to a child that speaks its protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// What the policy of the parent hands on.
    pub(crate) policy: Vec<u8>,
    /// The child is to make copies of itself rather than to work.
    pub(crate) template: bool,
}

/// Why the two sides do not talk to each other: they are not the same program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) parent: Greeting,
    pub(crate) child: Greeting,
}

impl Greeting {
    pub(crate) fn own() -> Self {
        Self {
            protocol: PROTOCOL,
            build: image().build.clone(),
        }
    }
}

impl Refusal {
    /// `Some` unless the two are the same.
    pub(crate) fn check(parent: &Greeting, child: &Greeting) -> Option<Self> {
        (parent != child).then(|| Self {
            parent: parent.clone(),
            child: child.clone(),
        })
    }
}

impl fmt::Display for Greeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "protocol {}, build ", self.protocol)?;
        self.build
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parent, child } = self;
        write!(
            f,
            "the worker is not the same program: it has {child}, and this one {parent}"
        )
    }
}
