//! How a process ended.

use std::fmt;

use rustix::process::WaitIdStatus;

use super::super::sys::signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Someone else has asked the system for the exit status, or nobody could.
    Unknown,
}

impl Exit {
    pub(super) fn new(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }

    /// Whether it ended by itself, with code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// `SIGSEGV`, for the signal that ended it. `None` if none did, or one without a name.
    #[must_use]
    pub fn signal_name(self) -> Option<&'static str> {
        match self {
            Self::Signal(number) => signal::name(number),
            _ => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(number) => match signal::name(*number) {
                Some(name) => write!(f, "was killed by {name}"),
                None => write!(f, "was killed by signal {number}"),
            },
            Self::Unknown => f.write_str("ended, nobody knows how"),
        }
    }
}

/// The end of a process that owed a result.
#[derive(Clone, Debug)]
pub struct Crash {
    pub(crate) pid: u32,
    pub(crate) exit: Exit,
    pub(crate) stderr: Vec<String>,
    pub(crate) oom_kills: u64,
}

impl Crash {
    /// The number the process had.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How it ended.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The last lines it wrote to stderr, the oldest first.
    #[must_use]
    pub fn stderr(&self) -> &[String] {
        &self.stderr
    }

    /// How many processes the system has ended in this control group because memory ran out, between
    /// the start of this one or the last such look, and its end. 0 also where the system does not say.
    #[must_use]
    pub fn oom_kills(&self) -> u64 {
        self.oom_kills
    }

    /// How the process ended, without what no other has: its number, and what it has said.
    pub(crate) fn kind(&self) -> String {
        let whose = "its process";
        match self.exit {
            Exit::Code(0) => format!("{whose} {} before its result was there", self.exit),
            _ => format!("{whose} {}", self.exit),
        }
    }

    /// The last lines on stderr, behind other words.
    pub(crate) fn fmt_stderr(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stderr.is_empty() {
            return Ok(());
        }
        f.write_str("; its last lines on stderr:")?;
        let mut lines = self.stderr.iter();
        lines.try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its process (pid {}) {}", self.pid, self.exit)?;
        match self.exit {
            Exit::Signal(9) if self.oom_kills > 0 => {
                write!(
                    f,
                    ", because memory ran out: the system says that it has ended "
                )?;
                match self.oom_kills {
                    1 => write!(f, "a process for that")?,
                    count => write!(f, "{count} processes for that")?,
                }
            }
            Exit::Signal(9) => write!(f, ", maybe because memory ran out")?,
            Exit::Code(0) => write!(f, " before its result was there")?,
            _ => {}
        }
        self.fmt_stderr(f)
    }
}
