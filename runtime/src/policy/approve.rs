//! Approvals: what may start under `ApprovedOnly`.

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};

use super::state::{Hash, change};
use crate::named;

/// Lets the job of this name start under [`ApprovedOnly`](super::Policy::ApprovedOnly): that of a
/// function with `#[runspace::job]`. [`known_jobs`](super::known_jobs) lists the names there are. A
/// name that no job has may be approved; it starts nothing.
///
/// ```
/// use runspace::policy::{self, Policy, Start};
///
/// policy::set(Policy::ApprovedOnly).unwrap();
/// policy::approve_job("images::resize").unwrap();
/// assert!(policy::check(Start::Job { name: "images::resize" }).is_ok());
/// assert!(policy::check(Start::Job { name: "images::crop" }).is_err());
/// ```
///
/// # Errors
/// Two functions have this name, so that it does not say which one is meant; or this process is a
/// worker of one under `ApprovedOnly` or stricter, which has fixed what is approved.
pub fn approve_job(name: impl Into<String>) -> Result<(), ApproveError> {
    let name = name.into();
    let places = named::places(&name);
    if places.len() > 1 {
        return Err(ApproveError::Ambiguous { name, places });
    }
    change(|state| {
        if state.is_fixed {
            return Err(ApproveError::Fixed);
        }
        state.jobs.insert(name.clone());
        Ok(())
    })
}

/// Lets the program at `path` start under [`ApprovedOnly`](super::Policy::ApprovedOnly).
///
/// The file is meant, not its name: links are followed now, and at each start what is about to run has
/// to be the same path with all links followed. So whoever may replace that file, or a folder on
/// the way to it, decides what runs; [`approve_file_with_sha256`] leaves them nothing. An approval
/// says nothing of the arguments. Some systems have one file behind many commands, which looks at the name
/// it is called by (busybox): approving one of those approves all. Approving an interpreter or a shell
/// approves everything.
///
/// ```
/// use runspace::policy::{self, Policy, Start};
///
/// policy::set(Policy::ApprovedOnly).unwrap();
/// policy::approve_file("/bin/sh").unwrap();
/// let start = |path: &'static str| Start::File { name: None, path: path.as_ref() };
/// assert!(policy::check(start("/bin/sh")).is_ok());
/// assert!(policy::check(start("/bin/cat")).is_err());
/// ```
///
/// # Errors
/// There is no file at `path`; or this process is a worker of one under `ApprovedOnly` or stricter,
/// which has fixed what is approved.
pub fn approve_file(path: impl AsRef<Path>) -> Result<(), ApproveError> {
    approve(path.as_ref(), None)
}

/// Lets the program at `path` start under [`ApprovedOnly`](super::Policy::ApprovedOnly) as long as its
/// bytes have this SHA-256: 64 hexadecimal digits, as `sha256sum` prints them. Approved with several hashes,
/// it may have any of them. An approval without a hash does not lift one with.
///
/// Each start copies the file into memory, seals the copy so that nobody can change it any more,
/// compares the hash of the sealed copy, and runs that very copy. So there is no moment between the
/// look and the run in which someone could change or replace what runs, not even who may write to the
/// file. What remains is what the hash does not cover: the libraries that the program loads, the
/// interpreter of a script, its arguments and its environment. And a program that looks for
/// files beside its own (`$ORIGIN`, `/proc/self/exe`) does not find them, because it runs from memory;
/// for such a one there is [`approve_file`]. It costs reading and hashing the whole file each time.
///
/// # Errors
/// As [`approve_file`]; or `sha256` is not 64 hexadecimal digits.
pub fn approve_file_with_sha256(path: impl AsRef<Path>, sha256: &str) -> Result<(), ApproveError> {
    let hash = read_hash(sha256).ok_or_else(|| ApproveError::NoHash(sha256.to_owned()))?;
    approve(path.as_ref(), Some(hash))
}

fn approve(path: &Path, hash: Option<Hash>) -> Result<(), ApproveError> {
    let canonical = super::file::canonical(path).map_err(|error| ApproveError::NoFile {
        path: path.to_owned(),
        error,
    })?;
    change(|state| {
        if state.is_fixed {
            return Err(ApproveError::Fixed);
        }
        let hashes = state.files.entry(canonical.clone()).or_default();
        hashes.extend(hash);
        Ok(())
    })
}

fn read_hash(text: &str) -> Option<Hash> {
    let text = text.trim().as_bytes();
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(hash)
}

/// Something was not approved.
#[derive(Debug)]
#[non_exhaustive]
pub enum ApproveError {
    /// There is no file at this path.
    NoFile {
        /// As it was given.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// This is no SHA-256.
    NoHash(String),
    /// Several functions with `#[runspace::job]` have this name.
    Ambiguous {
        /// The name.
        name: String,
        /// Where the functions are.
        places: Vec<&'static Location<'static>>,
    },
    /// This process is a worker, and its parent has fixed what is approved.
    Fixed,
}

impl fmt::Display for ApproveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile { path, error } => {
                write!(f, "cannot approve the file `{}`: {error}", path.display())
            }
            Self::NoHash(text) => {
                write!(f, "{text:?} is no SHA-256: that has 64 hexadecimal digits")
            }
            Self::Ambiguous { name, places } => {
                write!(f, "cannot approve `{name}`: several jobs have that name: ")?;
                for (count, place) in places.iter().enumerate() {
                    let between = if count > 0 { ", " } else { "" };
                    write!(f, "{between}{place}")?;
                }
                f.write_str("; give them names of their own: #[runspace::job(name = \"..\")]")
            }
            Self::Fixed => f.write_str(
                "nothing more can be approved here: this process is a worker, and the process \
                 that started it has fixed what is; approve it there",
            ),
        }
    }
}

impl Error for ApproveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoFile { error, .. } => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_approved_is_named() {
        let error = approve_file("/no/such/program").unwrap_err();
        assert!(error.to_string().contains("`/no/such/program`"), "{error}");
        assert!(error.source().is_some());
        let error = approve_file_with_sha256("/bin/sh", "12").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"12\" is no SHA-256: that has 64 hexadecimal digits"
        );
        assert!(error.source().is_none());
    }

    #[test]
    fn a_hash_is_64_digits() {
        let text = "00ff".repeat(16);
        let hash = read_hash(&text).unwrap();
        assert_eq!((hash[0], hash[1], hash[31]), (0, 255, 255));
        assert_eq!(read_hash(&text.to_uppercase()), Some(hash));
        for wrong in [
            "",
            "00",
            &text[1..],
            &format!("{text}0"),
            &text.replace('f', "g"),
        ] {
            assert_eq!(read_hash(wrong), None, "{wrong}");
        }
        assert_eq!(read_hash(&"é".repeat(32)), None);
    }
}
