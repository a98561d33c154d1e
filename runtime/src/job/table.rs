//! The table of the jobs of this process.

use std::collections::BTreeMap;
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::vec;

use unicode_width::UnicodeWidthStr as _;

use super::core::Core;
use super::globals::global;
use super::location::JobLocation;
use super::record::Record;
use super::signal::Limit;
use super::state::JobState;
use super::wait;
use crate::debug;
use crate::sync::Mutex;
use crate::waits;

global! {
    static TABLE: Mutex<BTreeMap<u64, Arc<Core>>> = Mutex::new(BTreeMap::new());
}

pub(super) fn insert(core: &Arc<Core>) {
    TABLE.lock().insert(core.id(), Arc::clone(core));
}

pub(super) fn remove(id: u64) {
    // The core is dropped outside of the lock.
    let _gone = TABLE.lock().remove(&id);
}

/// The jobs that are not removed, the oldest first.
///
/// A job is in the table from its start until its [`Job`](crate::Job) is dropped or removed; a job
/// that still runs then stays until it ends.
///
/// ```
/// use runspace::{jobs, start_thread_job};
///
/// let job = start_thread_job!(name = "count", { 3 });
/// job.wait();
/// println!("{}", jobs());
/// // Id  Name   State      HasMoreData  Location                     Command
/// // --  ----   -----      -----------  --------                     -------
/// // 1   count  Completed  True         src/main.rs:3:11 (thread 2)  start_thread_job! at src/main.rs:3
/// assert!(jobs().get(job.id()).is_some());
/// ```
#[must_use]
pub fn jobs() -> JobTable {
    let cores: Vec<_> = TABLE.lock().values().cloned().collect();
    let entries = cores.into_iter().map(|core| JobEntry { core }).collect();
    JobTable { entries }
}

/// Says what each job is at that has not ended.
pub(crate) fn tell(out: &mut String) {
    let Some(table) = TABLE.try_lock() else {
        return debug::line(out, 0, format_args!("jobs: busy"));
    };
    let cores: Vec<_> = table.values().cloned().collect();
    drop(table);
    let has_ended = |it: &&Arc<Core>| it.has_ended_at_a_glance();
    let ended = cores.iter().filter(has_ended).count();
    if !cores.is_empty() {
        debug::line(
            out,
            0,
            format_args!("jobs, beside {ended} that have ended:"),
        );
        let open = cores.iter().filter(|it| !it.has_ended_at_a_glance());
        open.for_each(|it| it.tell(out));
        waits::tell(out);
    }
    debug::let_go(cores);
}

/// Stops the jobs that wait in a queue and are part of no other job or item.
#[cfg(all(feature = "ctrl_c", unix))]
pub(crate) fn stop_queued() {
    for JobEntry { core } in jobs() {
        let is_queued = core.queue().is_some() && core.state() == JobState::NotStarted;
        if is_queued && core.is_outermost() {
            core.stop();
        }
    }
}

/// The names of the jobs that run, without the parallel calls that go on as jobs.
#[cfg(all(feature = "ctrl_c", unix))]
pub(crate) fn running() -> Vec<String> {
    let is_running = |it: &JobEntry| it.state() == JobState::Running && !it.core.is_call();
    let running = jobs().into_iter().filter(is_running);
    running.map(|it| it.name().to_owned()).collect()
}

/// The jobs there were when it was made, each of them live. Made by [`jobs`].
///
/// Prints as PowerShell's `Get-Job` prints its table.
#[derive(Clone, Debug)]
pub struct JobTable {
    entries: Vec<JobEntry>,
}

impl JobTable {
    /// The job of this number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&JobEntry> {
        let place = self.entries.binary_search_by_key(&id, JobEntry::id);
        place.ok().map(|place| &self.entries[place])
    }

    /// The job of this name, the oldest if there are several.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&JobEntry> {
        self.iter().find(|it| it.name() == name)
    }

    /// The jobs, the oldest first.
    pub fn iter(&self) -> slice::Iter<'_, JobEntry> {
        self.entries.iter()
    }

    /// How many jobs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no job.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> IntoIterator for &'a JobTable {
    type Item = &'a JobEntry;
    type IntoIter = slice::Iter<'a, JobEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for JobTable {
    type Item = JobEntry;
    type IntoIter = vec::IntoIter<JobEntry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl fmt::Display for JobTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = ["Id", "Name", "State", "HasMoreData", "Location", "Command"];
        let rows: Vec<_> = self.iter().map(JobEntry::row).collect();
        let mut widths = heads.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        write_row(f, &heads.map(str::to_owned), &widths)?;
        write_row(f, &heads.map(|it| "-".repeat(it.len())), &widths)?;
        rows.iter().try_for_each(|row| write_row(f, row, &widths))
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, cells: &[String; 6], widths: &[usize; 6]) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        // By columns of a terminal: `{:<}` counts characters, of which some are wide and some have no width.
        let padding = width.saturating_sub(cell.width());
        line += cell;
        line += &" ".repeat(padding + 2);
    }
    writeln!(f, "{}", line.trim_end())
}

/// One job of the table, live: it tells what the job is now, not what it was when listed.
///
/// It does not keep the job in the table, and its outputs are only for who holds the
/// [`Job`](crate::Job).
///
/// ```
/// use runspace::{JobState, jobs, start_thread_job};
///
/// // Nobody holds this one.
/// let _ = start_thread_job!(name = "watch", {
///     while !runspace::stopping() {
///         std::thread::yield_now();
///     }
/// });
/// let entry = jobs().find("watch").unwrap().clone();
/// entry.stop();
/// assert_eq!(entry.wait(), JobState::Stopped);
/// assert!(jobs().find("watch").is_none());
/// ```
#[derive(Clone)]
pub struct JobEntry {
    pub(super) core: Arc<Core>,
}

impl JobEntry {
    /// The number of the job, from 1, never used twice in a process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.core.id()
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// The state of the job now.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.core.state()
    }

    /// Whether there are outputs that nobody has received yet.
    #[must_use]
    pub fn has_more_data(&self) -> bool {
        self.core.has_more_data()
    }

    /// Where the job was started, and the thread it runs on.
    #[must_use]
    pub fn location(&self) -> JobLocation {
        self.core.location()
    }

    /// The macro that started the job, and its line.
    #[must_use]
    pub fn command(&self) -> String {
        self.core.command()
    }

    /// When the job started; `None` while it waits in its queue, and for one that never started.
    #[must_use]
    pub fn started(&self) -> Option<SystemTime> {
        self.core.started()
    }

    /// When the job ended; `None` until then.
    #[must_use]
    pub fn finished(&self) -> Option<SystemTime> {
        self.core.finished()
    }

    /// What the job has said so far.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.core.records()
    }

    /// Asks the job to stop and returns at once, as [`Job::stop`](crate::Job::stop) does.
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Waits until the job has ended. Answers the state it ended in.
    ///
    /// # Panics
    /// The wait would never end because the job waits for the one that calls this.
    #[track_caller]
    pub fn wait(&self) -> JobState {
        let ended = wait::end(&self.core, Limit::None);
        ended.expect("a wait without a limit ends with its job")
    }

    /// Waits until the job has ended, at most for `limit`. `None` when the time ran out.
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Option<JobState> {
        wait::end(&self.core, Limit::after(limit))
    }

    fn row(&self) -> [String; 6] {
        // A name may hold what would break the lines of the table.
        let name = self.name().replace(char::is_control, " ");
        let more = if self.has_more_data() {
            "True"
        } else {
            "False"
        };
        [
            self.id().to_string(),
            name,
            self.state().to_string(),
            more.to_owned(),
            self.location().to_string(),
            self.command(),
        ]
    }
}

impl fmt::Debug for JobEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobEntry")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
