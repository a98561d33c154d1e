//! The question that every start of a process asks first.

use std::fs::File;
use std::panic::Location;
use std::path::{Path, PathBuf};

use super::audit::{self, Verdict};
use super::denied::{Denied, Reason, What};
use super::file;
use super::level::Policy;
use super::state::{State, state};

/// What is about to be started in a process of its own.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Start<'a> {
    /// A block, or the body of a parallel call.
    Block {
        /// The name of the job or call.
        name: Option<&'a str>,
    },
    /// A function with `#[runspace::job]`.
    Job {
        /// The name it is registered under.
        name: &'a str,
    },
    /// A program.
    File {
        /// The name of the job.
        name: Option<&'a str>,
        /// Where the program is.
        path: &'a Path,
    },
}

/// Whether the policy of this process lets `start` happen. Every start asks this by itself before it does
/// anything; a program may ask earlier, to decide what to offer. It counts as a start in
/// [`audit`](super::audit).
///
/// # Errors
/// It does not.
///
/// ```
/// use runspace::policy::{self, Start};
///
/// assert!(policy::check(Start::Block { name: None }).is_ok()); // the default is to allow
/// ```
#[track_caller]
pub fn check(start: Start<'_>) -> Result<(), Denied> {
    if let Start::File { name, path } = start {
        return admit(name, path).map(drop);
    }
    let state = state();
    let (what, refused) = match start {
        Start::Job { name } => {
            let is_approved = state.jobs.contains(name);
            (
                What::Job(name.to_owned()),
                (!is_approved).then_some(Reason::Name),
            )
        }
        Start::Block { name } | Start::File { name, .. } => {
            (What::Block(name.map(str::to_owned)), Some(Reason::Block))
        }
    };
    state.decide(what, refused, Location::caller())
}

/// A program that may be started, and what to start it by.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What to execute.
    pub(crate) path: PathBuf,
    /// What is behind that path, to be kept open until the program has ended. It is a sealed copy in
    /// memory if the bytes were approved.
    pub(crate) held: Option<File>,
}

/// [`check`] for a program, with what has to be executed for the answer to hold. `path` is
/// absolute.
#[track_caller]
pub(crate) fn admit(name: Option<&str>, path: &Path) -> Result<Admitted, Denied> {
    let location = Location::caller();
    let as_given = Admitted {
        path: path.to_owned(),
        held: None,
    };
    let files = {
        let state = state();
        match state.policy {
            Policy::Allow => return Ok(as_given),
            _ => state.files.clone(),
        }
    };
    // The file is looked at without the lock.
    let (admitted, refused) = match file::examine(path, &files) {
        Ok(admitted) => (admitted, None),
        Err(reason) => (as_given, Some(reason)),
    };
    let what = What::File(name.map(str::to_owned), path.to_owned());
    state().decide(what, refused, location)?;
    Ok(admitted)
}

impl State {
    /// `refused` is why it is not approved, if it is not.
    fn decide(
        &self,
        what: What,
        refused: Option<Reason>,
        location: &'static Location<'static>,
    ) -> Result<(), Denied> {
        let refused = match self.policy {
            Policy::Allow => return Ok(()),
            Policy::Deny => Some(Reason::Nothing),
            Policy::Audit | Policy::ApprovedOnly => refused,
        };
        let verdict = match refused {
            None => Verdict::Started,
            Some(_) if self.policy == Policy::Audit => Verdict::WouldBeRefused,
            Some(_) => Verdict::Refused,
        };
        let reason = refused.as_ref().map(Reason::to_string);
        audit::note(what.to_string(), location, verdict, reason);
        match refused {
            Some(reason) if verdict == Verdict::Refused => {
                Err(Denied::new(what, self.policy, self.source.clone(), reason))
            }
            _ => Ok(()),
        }
    }
}
