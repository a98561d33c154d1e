//! Where a job comes from and where it runs.

use std::fmt;
use std::panic::Location;
use std::thread::ThreadId;

/// Where a job was started in the source, and the thread or process that runs it.
///
/// Prints as `src/main.rs:10:5 (thread 12)`; without the thread while there is none.
///
/// ```
/// use runspace::start_thread_job;
///
/// let job = start_thread_job!({});
/// job.wait();
/// let location = job.location();
/// assert_eq!(location.source().file(), file!());
/// assert!(location.to_string().contains(" (thread "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobLocation {
    source: &'static Location<'static>,
    thread: Option<ThreadId>,
    process: Option<u32>,
}

impl JobLocation {
    pub(super) fn new(
        source: &'static Location<'static>,
        thread: Option<ThreadId>,
        process: Option<u32>,
    ) -> Self {
        Self {
            source,
            thread,
            process,
        }
    }

    /// The number of the process the body runs in or ran in; `None` before it starts, and for a job
    /// that runs in this process.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.process
    }

    /// The call that started the job.
    #[must_use]
    pub fn source(&self) -> &'static Location<'static> {
        self.source
    }

    /// The thread the body runs on or ran on; `None` before it starts, and for a job whose work is
    /// spread over many threads.
    #[must_use]
    pub fn thread(&self) -> Option<ThreadId> {
        self.thread
    }
}

impl fmt::Display for JobLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        match (self.process, self.thread) {
            (Some(process), _) => write!(f, " (process {process})"),
            (None, Some(thread)) => write!(f, " (thread {})", number(thread)),
            (None, None) => Ok(()),
        }
    }
}

/// The number in a thread id. Its `Debug` form is the one stable way to it.
fn number(thread: ThreadId) -> String {
    let text = format!("{thread:?}");
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_a_bare_number() {
        let here = Location::caller();
        let id = std::thread::current().id();
        let text = JobLocation::new(here, Some(id), None).to_string();
        let tail = text.strip_prefix(&here.to_string()).unwrap();
        let digits = tail
            .strip_prefix(" (thread ")
            .unwrap()
            .strip_suffix(')')
            .unwrap();
        assert!(format!("{id:?}").contains(&format!("({digits})")), "{text}");
        assert_eq!(
            JobLocation::new(here, None, None).to_string(),
            here.to_string()
        );
    }
}
