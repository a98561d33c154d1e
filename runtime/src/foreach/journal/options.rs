//! What `journal = ..` takes.

use std::path::{Path, PathBuf};

/// A file that a call keeps a record in: the value of `journal = ..`, beside a plain path.
///
/// Finished is an item whose body has returned before it was told to stop, or has said that its value is whole
/// ([`finished`](crate::finished)). Half a value of a body that left early is not written, and the item runs again.
///
/// ```
/// use runspace::{Journal, foreach_parallel};
///
/// let folder = tempfile::tempdir().unwrap();
/// let journal = Journal::new(folder.path().join("run.jsonl")).sync(true);
/// assert_eq!(foreach_parallel!([2, 3], journal = journal, |n: u64| n * n).sum::<u64>(), 13);
/// ```
#[derive(Clone, Debug)]
pub struct Journal {
    pub(crate) path: PathBuf,
    pub(crate) sync: bool,
    pub(crate) version: Option<String>,
    pub(crate) may_change: bool,
}

impl Journal {
    /// The journal in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            sync: false,
            version: None,
            may_change: false,
        }
    }

    /// Whether each line is on the disk before the result of its item is handed out, so that it
    /// outlives a loss of power. Without it, a line outlives the program, however that ends, and not
    /// the machine. Costs about as much as the disk takes for a write, for each item.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// What the values depend on beside the items: the version of the body, settings that it has
    /// captured. A journal of another version, or of none, is refused before anything runs.
    ///
    /// ```
    /// use runspace::{Journal, foreach_parallel};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("run.jsonl");
    /// let scaled = |by: u64| {
    ///     let journal = Journal::new(&path).version(format!("by {by}"));
    ///     foreach_parallel!([1_u64, 2], journal = journal, resume = true, using(by), |n| n * by).outcomes()
    /// };
    /// assert!(scaled(2).all(|it| it.is_ok()));
    /// let error = scaled(3).next().unwrap().unwrap_err();
    /// assert!(error.to_string().contains("of version `by 2`, not `by 3`"));
    /// ```
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Whether a resumed call may differ from the one that the journal was written for: `false` when left out.
    ///
    /// Values are found by the content of their items, so none is ever given to another item. But an
    /// input that has lost finished items, or items of another type, may well be the wrong one, and
    /// that is an error:
    ///
    /// * Before anything runs, if the type of the items or of the values is another, if the call has moved to another
    ///   source file and neither then nor now has a name, or if the input says of itself that it has fewer items than are finished
    ///   ([`JournalErrorKind::OtherType`](crate::JournalErrorKind::OtherType), `OtherCall`, `FewerItems`).
    /// * Behind all results, if the input has been taken to its end and did not have an item that is finished
    ///   ([`JournalErrorKind::Missing`](crate::JournalErrorKind::Missing)). All that it has has run, and is in the
    ///   journal, so that going on with `may_change(true)` costs nothing.
    ///
    /// Items that are new are no error: they run.
    #[must_use]
    pub fn may_change(mut self, may_change: bool) -> Self {
        self.may_change = may_change;
        self
    }
}

/// What `journal = ..` takes.
#[diagnostic::on_unimplemented(
    message = "`journal` is the path of a file, a `Journal`, or an `Option` of one, not `{Self}`",
    label = "not a path; write `\"run.jsonl\"`"
)]
pub trait IntoJournal {
    /// The file that it means, if any.
    fn into_journal(self) -> Option<Journal>;
}

impl IntoJournal for Journal {
    fn into_journal(self) -> Option<Journal> {
        Some(self)
    }
}

/// For programs whose user decides: `None` is no journal.
impl<J: IntoJournal> IntoJournal for Option<J> {
    fn into_journal(self) -> Option<Journal> {
        self?.into_journal()
    }
}

macro_rules! paths {
    ($($path:ty),*) => {$(
        impl IntoJournal for $path {
            fn into_journal(self) -> Option<Journal> {
                Some(Journal::new(self))
            }
        }
    )*};
}

paths!(&str, String, &String, &Path, PathBuf, &PathBuf);
