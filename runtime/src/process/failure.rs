//! Why work in another process has no value.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use super::child::Crash;
use super::entry::{CodecReport, NotInProgram, Panicked, Refusal};
use super::link::START_TIMEOUT;
use super::wire::FrameError;

/// Why work in another process has no value.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The body panicked.
    Panicked(Panicked),
    /// The process ended, or was ended by someone else, before it had a result.
    Crashed(Crash),
    /// It was stopped by the one who started it.
    Stopped,
    /// It took longer than allowed.
    TimedOut(Duration),
    /// The system gave no process.
    NoProcess(io::Error),
    /// The process ended before it reported.
    NoHello(Crash),
    /// The process did not report in time, and was ended.
    Silent(Crash, Duration),
    /// The process is not the same program.
    Refused(Refusal),
    /// The body is not in the executable.
    NotInProgram(NotInProgram),
    /// Jobs have started jobs so many levels deep that it can only be a mistake.
    TooDeep(u32),
    /// A constructor of the program asked for it, in a worker that has not come up.
    InConstructor,
    /// A value cannot be written here.
    Write(CodecReport),
    /// A value cannot be read here.
    Read(CodecReport),
    /// A value cannot be written or read there.
    There(CodecReport),
    /// What came from the process makes no sense.
    Nonsense(FrameError),
    /// The policy of this process does not allow it.
    Denied(crate::policy::Denied),
}

impl Failure {
    /// A value has not been written here.
    pub(crate) fn write(report: CodecReport) -> Self {
        Self::of_codec(report, Self::Write)
    }

    /// A value has not been read here.
    pub(crate) fn read(report: CodecReport) -> Self {
        Self::of_codec(report, Self::Read)
    }

    /// A value has not been written or read there.
    pub(crate) fn there(report: CodecReport) -> Self {
        Self::of_codec(report, Self::There)
    }

    /// The code of a value that panics is as the body that panics: another try may pass. One that cannot be
    /// written or read never will.
    fn of_codec(mut report: CodecReport, refused: fn(CodecReport) -> Self) -> Self {
        match report.panicked.take() {
            Some(panicked) => Self::Panicked(*panicked),
            None => refused(report),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(it) => {
                write!(f, "panicked")?;
                if let Some(within) = &it.within {
                    write!(f, " in {within}")?;
                }
                if let Some(location) = &it.location {
                    write!(f, " at {location}")?;
                }
                write!(f, ": {}", it.message)
            }
            Self::Crashed(crash) => write!(f, "{crash}"),
            Self::Stopped => f.write_str("was stopped before it finished"),
            Self::TimedOut(limit) => write!(f, "took longer than {limit:?} and was ended"),
            Self::NoProcess(error) => write!(f, "has no process to run in: {error}"),
            Self::NoHello(crash) => write!(
                f,
                "has no worker: before it had come as far as to report, {crash}"
            ),
            Self::Silent(crash, limit) => {
                write!(
                    f,
                    "has no worker: its process (pid {}) had not come as far as to report after \
                     {limit:?}, and was ended ({START_TIMEOUT} sets another limit, in seconds)",
                    crash.pid()
                )?;
                crash.fmt_stderr(f)
            }
            Self::Refused(refusal) => write!(f, "has no worker: {refusal}"),
            Self::NotInProgram(error) => write!(f, "cannot run in another process: {error}"),
            Self::TooDeep(depth) => write!(
                f,
                "was not started: this process is already {depth} levels of jobs deep, as many as \
                 are allowed; does every job start one more?"
            ),
            Self::InConstructor => f.write_str(
                "was not started: this process is a worker that comes up, and a constructor of the \
                 program, which runs before `main` in each worker, asks it for one more; start jobs \
                 from `main`",
            ),
            Self::Write(report) => write_report(f, report, "cannot be sent"),
            Self::Read(report) => write_report(f, report, "cannot be read back"),
            Self::There(report) => write_report(f, report, "did not cross"),
            Self::Nonsense(error) => write!(f, "has lost its worker: {error}"),
            Self::Denied(denied) => denied.fmt_behind_name(f),
        }
    }
}

fn write_report(f: &mut fmt::Formatter<'_>, report: &CodecReport, how: &str) -> fmt::Result {
    let CodecReport { what, of, text, .. } = report;
    write!(f, "{what} (of type `{of}`) {how}: {text}")
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoProcess(error) => Some(error),
            Self::NotInProgram(error) => Some(error),
            Self::Nonsense(error) => Some(error),
            _ => None,
        }
    }
}

impl From<NotInProgram> for Failure {
    fn from(error: NotInProgram) -> Self {
        Self::NotInProgram(error)
    }
}

/// Why work in a process of its own has no value: it crashed, was killed, took too long, could not be
/// started, or a value could not cross.
///
/// Prints as, say, `its process (pid 4711) was killed by SIGSEGV`, with the last lines that the process
/// wrote to stderr.
///
/// ```
/// use runspace::{JobErrorKind, start_job};
///
/// let job = start_job!(name = "crash", { std::process::abort() });
/// let error = job.join().map(|()| ()).unwrap_err();
/// let JobErrorKind::Process(process) = error.kind() else {
///     panic!("{error}")
/// };
/// assert_eq!(process.crash().unwrap().exit().signal_name(), Some("SIGABRT"));
/// ```
#[derive(Clone)]
pub struct ProcessError {
    failure: std::sync::Arc<Failure>,
}

impl ProcessError {
    pub(crate) fn new(failure: Failure) -> Self {
        Self {
            failure: std::sync::Arc::new(failure),
        }
    }

    /// How the process ended, where that is what went wrong.
    #[must_use]
    pub fn crash(&self) -> Option<&Crash> {
        match &*self.failure {
            Failure::Crashed(crash) | Failure::NoHello(crash) | Failure::Silent(crash, _) => {
                Some(crash)
            }
            _ => None,
        }
    }

    /// What has happened, in the words that are the same for all to which the same has happened.
    pub(crate) fn kind(&self) -> String {
        match &*self.failure {
            Failure::Crashed(crash) => crash.kind(),
            Failure::NoHello(crash) => format!(
                "has no worker: before it had come as far as to report, {}",
                crash.kind()
            ),
            Failure::Silent(_, limit) => {
                format!("has no worker: its process had not reported after {limit:?}")
            }
            failure => failure.to_string(),
        }
    }

    /// Whether it was ended because it took too long: the work, or, with a [`crash`](Self::crash), the
    /// worker to come up.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(&*self.failure, Failure::TimedOut(_) | Failure::Silent(..))
    }

    /// Whether it was refused by the policy of this process.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.denied().is_some()
    }

    /// The refusal, if it was refused by the policy of this process.
    #[must_use]
    pub fn denied(&self) -> Option<&crate::policy::Denied> {
        match &*self.failure {
            Failure::Denied(denied) => Some(denied),
            _ => None,
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl fmt::Debug for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessError").field(&self.failure).finish()
    }
}

impl Error for ProcessError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failure.source()
    }
}
