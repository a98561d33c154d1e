//! What can go wrong with a journal.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with the `journal` of a call. Prints with the path of the file, and what can be done.
///
/// ```
/// use runspace::{Cause, JournalErrorKind, foreach_parallel};
///
/// let mut outcomes = foreach_parallel!([1], journal = "/no/such/folder/run.jsonl", |n| n).outcomes();
/// let error = outcomes.next().unwrap().unwrap_err();
/// let Cause::Journal(error) = error.cause() else { panic!("{error}") };
/// assert!(matches!(error.kind(), JournalErrorKind::Open(_)));
/// assert!(outcomes.next().is_none()); // nothing has run
/// ```
#[derive(Debug)]
pub struct JournalError {
    path: PathBuf,
    kind: JournalErrorKind,
}

/// The kinds of [`JournalError`].
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalErrorKind {
    /// The file cannot be opened or read. Nothing has run.
    Open(io::Error),
    /// The file has lines of an earlier run, and the call does not `resume`. Nothing has run.
    Exists,
    /// Another run is writing to the file. Nothing has run.
    InUse,
    /// The file is the journal of this other call: of another name or, where one of them has none, of
    /// another place in the source. Nothing has run.
    OtherCall(String),
    /// The values in the file are of another [version](crate::Journal::version). Nothing has run.
    OtherVersion {
        /// That of the file.
        before: Option<String>,
        /// That of the call.
        now: Option<String>,
    },
    /// The file has items or values of another type. Nothing has run.
    OtherType {
        /// `items` or `values`.
        of: &'static str,
        /// The type in the file.
        before: String,
        /// The type in the call.
        now: String,
    },
    /// The input says that it has fewer items than are finished, so it must have changed. Nothing has
    /// run.
    FewerItems {
        /// How many are finished, by the journal.
        finished: u64,
        /// How many the input has.
        now: u64,
    },
    /// The input did not have these finished items any more, so it has changed. All items that it
    /// has have run.
    Missing {
        /// The numbers of their lines, from 1.
        lines: Vec<u64>,
    },
    /// A line of the file is none of a journal. Nothing has run.
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A line could not be written. All items have run, and those that ended later are not in the
    /// journal.
    Write(io::Error),
    /// An item cannot be serialised, so it cannot be found again. It has not run.
    Item(String),
    /// A value is not the same when it has been written as JSON and read back. The item is in the
    /// journal without it, and will run again.
    Value {
        /// The item's place in the input, from 0.
        index: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A stored value is not of the type that the body answers now. The item has not run.
    Stored {
        /// The number of its line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl JournalError {
    pub(crate) fn new(path: &Path, kind: JournalErrorKind) -> Self {
        let path = path.to_owned();
        Self { path, kind }
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &JournalErrorKind {
        &self.kind
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            JournalErrorKind::Open(error) => {
                write!(
                    f,
                    "was not started: its journal `{path}` cannot be opened: {error}"
                )
            }
            JournalErrorKind::Exists => write!(
                f,
                "was not started: its journal `{path}` has lines of an earlier run; add `resume = \
                 true` to go on with that, or name another file"
            ),
            JournalErrorKind::InUse => write!(
                f,
                "was not started: another run is writing to its journal `{path}`; wait for its end, \
                 or name another file"
            ),
            JournalErrorKind::OtherCall(call) => write!(
                f,
                "was not started: its journal `{path}` is that of another call, {call}; name \
                 another file, or give both calls the same name if they are one"
            ),
            JournalErrorKind::OtherVersion { before, now } => {
                let name = |version: &Option<String>| match version {
                    Some(version) => format!("`{version}`"),
                    None => "none".to_owned(),
                };
                write!(
                    f,
                    "was not started: the values in its journal `{path}` are of version {}, not {}; \
                     name another file",
                    name(before),
                    name(now)
                )
            }
            JournalErrorKind::OtherType { of, before, now } => write!(
                f,
                "was not started: its journal `{path}` has {of} of type `{before}`, not `{now}`; \
                 name another file, or go on all the same with `Journal::may_change(true)`"
            ),
            JournalErrorKind::FewerItems { finished, now } => write!(
                f,
                "was not started: its journal `{path}` has {finished} finished items, and the input \
                 has {now}, so it is another one; name another file, or go on all the same with \
                 `Journal::may_change(true)`"
            ),
            JournalErrorKind::Missing { lines } => {
                let items = if lines.len() == 1 {
                    "item that is"
                } else {
                    "items that are"
                };
                write!(
                    f,
                    "ran, but its input has changed: it did not have {} {items} finished, by its \
                     journal `{path}` ({}); if that is meant, say `Journal::may_change(true)`",
                    lines.len(),
                    Lines(lines)
                )
            }
            JournalErrorKind::Line { line, problem } => write!(
                f,
                "was not started: line {line} of its journal `{path}` cannot be read: {problem}; \
                 take the line out, or name another file"
            ),
            JournalErrorKind::Write(error) => write!(
                f,
                "ran, but its journal `{path}` could not be written: {error}; the items that ended \
                 after that are not in it"
            ),
            JournalErrorKind::Item(problem) => write!(
                f,
                "cannot be serialised, and the journal `{path}` knows items by their content: \
                 {problem}"
            ),
            JournalErrorKind::Value { index, problem } => write!(
                f,
                "ran, but the value of item {index} cannot be kept in its journal `{path}`: \
                 {problem}; the item will run again"
            ),
            JournalErrorKind::Stored { line, problem } => write!(
                f,
                "was finished by an earlier run, whose value in line {line} of the journal `{path}` \
                 cannot be read: {problem}; take the line out to run the item again"
            ),
        }
    }
}

/// Where lines are, the first few of them.
struct Lines<'a>(&'a [u64]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 3;
        let named: Vec<String> = self.0.iter().take(NAMED).map(u64::to_string).collect();
        let word = if self.0.len() == 1 { "line" } else { "lines" };
        let more = if self.0.len() > NAMED { ", .." } else { "" };
        write!(f, "{word} {}{more}", named.join(", "))
    }
}

impl Error for JournalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            JournalErrorKind::Open(error) | JournalErrorKind::Write(error) => Some(error),
            _ => None,
        }
    }
}
