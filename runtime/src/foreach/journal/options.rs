//! What `journal = ..` takes.

use std::path::{Path, PathBuf};

/// A file that a call keeps a record in: the value of `journal = ..`, beside a plain path.
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
}

impl Journal {
    /// The journal in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { path, sync: false }
    }

    /// Whether each line is on the disk before the result of its item is handed out, so that it
    /// outlives a loss of power. Without it, a line outlives the program, however that ends, and not
    /// the machine. Costs about as much as the disk takes for a write, for each item.
    #[must_use]
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
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
