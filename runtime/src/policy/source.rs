//! Where a policy comes from.

use std::fmt;
use std::panic::Location;

use super::VARIABLE;

/// Where the policy of a process was set. Prints as what follows "set": `at src/main.rs:3:5`,
/// `by RUNSPACE_POLICY`, `by the parent process (where it was set at src/main.rs:3:5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicySource {
    /// Nowhere: it is the default.
    Default,
    /// By the environment variable `RUNSPACE_POLICY`.
    Environment,
    /// By the environment variable `RUNSPACE_POLICY`, with a word that is no policy. The strictest one
    /// holds then, for what was meant is not known.
    UnknownWord(String),
    /// By this call of [`set`](super::set).
    Code(&'static Location<'static>),
    /// By the process that started this one. The text says where it was set there.
    Parent(String),
}

impl fmt::Display for PolicySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("by default"),
            Self::Environment => write!(f, "by {VARIABLE}"),
            Self::UnknownWord(word) => write!(
                f,
                "by {VARIABLE}, whose value {word:?} is none of allow, audit, approved-only and \
                 deny, so that the strictest one holds"
            ),
            Self::Code(location) => write!(f, "at {location}"),
            Self::Parent(there) if there.is_empty() => f.write_str("by the parent process"),
            Self::Parent(there) => {
                write!(f, "by the parent process (where it was set {there})")
            }
        }
    }
}
