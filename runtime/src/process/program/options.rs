//! What the options of `start_job!(file = ..)` become.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A program to start as a job, and how. Not named by users, who write `start_job!(file = "git", args = [..])`.
#[derive(Clone, Debug)]
#[must_use]
pub struct ProgramOptions {
    pub(super) file: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) directory: Option<PathBuf>,
    name: Option<Arc<str>>,
    timeout: Option<Duration>,
    grace: Option<Duration>,
}

impl ProgramOptions {
    /// The program: a name to be looked for in `PATH`, or a path, which contains a slash. A relative path
    /// starts in the working directory of this process, whatever `current_dir` says.
    pub fn new(file: impl Into<OsString>) -> Self {
        Self {
            file: file.into(),
            args: Vec::new(),
            variables: Vec::new(),
            directory: None,
            name: None,
            timeout: None,
            grace: None,
        }
    }

    /// Its arguments, each as it is: no shell splits or expands them.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The name of the job. Without one it is `Job` and the job's number.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Variables that the program has beside those of this process, or instead of them.
    pub fn env<K, V>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<OsString>,
        V: Into<OsString>,
    {
        let pairs = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        self.variables.extend(pairs);
        self
    }

    /// The working directory of the program, if it is not that of this process.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How long the program may take before it is ended.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long a program that is to stop has between SIGTERM and SIGKILL. 2 s when left out.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// What the job layer needs to know.
    pub(crate) fn for_job(&self) -> (Option<Arc<str>>, Option<Duration>, Option<Duration>) {
        (self.name.clone(), self.timeout, self.grace)
    }
}
