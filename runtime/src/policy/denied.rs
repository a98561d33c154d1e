//! A refusal, in words.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use super::level::Policy;
use super::source::PolicySource;
use super::state::Hash;

/// A start that the policy of this process does not allow. Nothing has been started.
///
/// It names what was to be started, the policy, where that was set, and what to do instead.
///
/// ```
/// use runspace::policy::{self, Policy, Start};
///
/// policy::set(Policy::ApprovedOnly).unwrap();
/// let denied = policy::check(Start::Job { name: "images::resize" }).unwrap_err();
/// assert_eq!(denied.policy(), Policy::ApprovedOnly);
/// let text = denied.to_string();
/// assert!(text.starts_with(
///     "cannot start job `images::resize`: the policy of this process is ApprovedOnly (set at "
/// ));
/// assert!(text.contains("start_thread_job!"));
/// ```
#[derive(Clone, Debug)]
pub struct Denied {
    inner: Box<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    what: What,
    policy: Policy,
    source: PolicySource,
    reason: Reason,
}

/// What was to be started.
#[derive(Clone, Debug)]
pub(super) enum What {
    Block(Option<String>),
    Job(String),
    File(Option<String>, PathBuf),
}

/// Why something is not approved.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// Nothing is let through.
    Nothing,
    /// It is a block, which has no name of its own.
    Block,
    /// The name is not approved.
    Name,
    /// This file is not approved.
    File(PathBuf),
    /// The approved file has other bytes than those approved.
    Hash(PathBuf, Box<Hash>),
    /// The file could not be looked at.
    Unreadable(String),
}

impl Denied {
    pub(super) fn new(what: What, policy: Policy, source: PolicySource, reason: Reason) -> Self {
        Self {
            inner: Box::new(Inner {
                what,
                policy,
                source,
                reason,
            }),
        }
    }

    /// The name of the job that was not started, if it had one.
    #[must_use]
    pub fn job(&self) -> Option<&str> {
        match &self.inner.what {
            What::Block(name) | What::File(name, _) => name.as_deref(),
            What::Job(name) => Some(name),
        }
    }

    /// The program that was not started, if it was one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.inner.what {
            What::File(_, path) => Some(path),
            _ => None,
        }
    }

    /// The policy that does not allow it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.inner.policy
    }

    /// Where that policy was set.
    #[must_use]
    pub fn set_by(&self) -> &PolicySource {
        &self.inner.source
    }
}

impl Denied {
    /// The same words behind the name of the job or the call, which is then not named again.
    pub(crate) fn fmt_behind_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner.what {
            What::Block(_) => f.write_str("cannot start")?,
            What::Job(name) => write!(f, "cannot start `{name}`")?,
            What::File(_, path) => write!(f, "cannot start program `{}`", path.display())?,
        }
        self.fmt_reason(f)
    }

    fn fmt_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            what,
            policy,
            source,
            reason,
        } = &*self.inner;
        write!(f, ": the policy of this process is {policy} (set {source})")?;
        if !matches!(reason, Reason::Nothing) {
            write!(f, ", and {reason}")?;
        }
        f.write_str("; workarounds: ")?;
        if !matches!(what, What::File(..)) {
            f.write_str(
                "run it on a thread with start_thread_job!, over items with foreach_parallel! \
                 (on = thread)",
            )?;
            if *policy < Policy::Deny {
                f.write_str(", or ")?;
            }
        }
        match (*policy, what, reason) {
            (Policy::Deny, What::File(..), _) => {
                f.write_str("do the work in this process, on a thread with start_thread_job!")
            }
            (Policy::Deny, ..) => Ok(()),
            (_, What::Block(_), _) => f.write_str(
                "make it a named entry, a function with #[runspace::job], and approve that with \
                 runspace::policy::approve_job",
            ),
            (_, What::Job(name), _) => {
                write!(f, "approve it with runspace::policy::approve_job({name:?})")
            }
            (_, What::File(..), Reason::Hash(path, hash)) => write!(
                f,
                "put the approved file back, or approve this one with \
                 runspace::policy::approve_file_with_sha256({path:?}, \"{}\")",
                Hex(hash)
            ),
            (_, What::File(_, path), reason) => {
                let path = match reason {
                    Reason::File(canonical) => canonical,
                    _ => path,
                };
                write!(
                    f,
                    "approve the file with runspace::policy::approve_file({path:?}), or do the \
                     work in this process, on a thread with start_thread_job!"
                )
            }
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start {}", self.inner.what)?;
        self.fmt_reason(f)
    }
}

impl Error for Denied {}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(Some(name)) | Self::Job(name) => write!(f, "job `{name}`"),
            Self::Block(None) => f.write_str("a job"),
            Self::File(Some(name), path) => {
                write!(f, "job `{name}` (program `{}`)", path.display())
            }
            Self::File(None, path) => write!(f, "program `{}`", path.display()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing may start"),
            Self::Block => f.write_str("a block has no name that could be approved"),
            Self::Name => f.write_str("that name is not approved"),
            Self::File(path) => write!(f, "`{}` is not approved", path.display()),
            Self::Hash(path, hash) => write!(
                f,
                "`{}` is not what was approved: its SHA-256 is {}",
                path.display(),
                Hex(hash)
            ),
            Self::Unreadable(text) => write!(f, "the file cannot be examined: {text}"),
        }
    }
}

/// A hash as `sha256sum` prints it.
struct Hex<'a>(&'a Hash);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
