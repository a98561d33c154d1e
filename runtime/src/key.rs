//! Keys of items: what stays the same however often an item runs.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Tells a call from every other that there has ever been, anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "process", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct CallKey(u128);

impl CallKey {
    pub(crate) fn fresh() -> Self {
        let half = || u128::from(RandomState::new().hash_one(std::process::id()));
        Self(half() << 64 | half())
    }

    /// The key of an item of the call.
    pub(crate) fn of_item(self, index: u64) -> String {
        format!("{self}:{index}")
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
