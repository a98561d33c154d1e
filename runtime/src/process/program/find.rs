//! Where a program is.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// The absolute path of a program: of a name, the first file in the folders of `search` that can be
/// executed. An empty or relative entry of the search path is passed over: which program runs does
/// not depend on where one happens to be.
pub(super) fn find(file: &OsStr, search: Option<OsString>) -> io::Result<PathBuf> {
    if file.is_empty() {
        return Err(NoProgram::Unnamed.into());
    }
    if file.as_bytes().contains(&b'/') {
        let path = std::path::absolute(file)?;
        let look = executable(&path);
        return look
            .map(|()| path.clone())
            .map_err(|error| NoProgram::AtPath(path, error).into());
    }
    let search = search.unwrap_or_default();
    let folders = std::env::split_paths(&search).filter(|it| it.is_absolute());
    let mut refused = None;
    for path in folders.map(|folder| folder.join(file)) {
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => refused = refused.or(Some((path, error))),
        }
    }
    Err(match refused {
        Some((path, error)) => NoProgram::AtPath(path, error).into(),
        None => NoProgram::InSearch(file.to_owned(), search).into(),
    })
}

fn executable(path: &Path) -> io::Result<()> {
    let is_file = match fs::metadata(path) {
        // A file where a folder should be is one way of not being there.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(io::ErrorKind::NotFound.into());
        }
        metadata => metadata?.is_file(),
    };
    if !is_file {
        let text = "it is not a file";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    access(path, Access::EXEC_OK).map_err(|_| {
        let text = "it is not a file that this process may execute";
        io::Error::new(io::ErrorKind::PermissionDenied, text)
    })
}

/// Looks at a working directory before the system does, which would not say what was not found.
pub(super) fn check_directory(directory: Option<&Path>) -> io::Result<()> {
    let Some(directory) = directory else {
        return Ok(());
    };
    let looked = match fs::metadata(directory) {
        Ok(it) if it.is_dir() => return Ok(()),
        Ok(_) => io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory"),
        Err(error) => error,
    };
    Err(NoProgram::Directory(directory.to_owned(), looked).into())
}

/// The system does not start a program that is there.
pub(super) fn not_started(path: &Path, error: &io::Error) -> io::Error {
    let error = io::Error::new(error.kind(), error.to_string());
    NoProgram::NotStarted(path.to_owned(), error).into()
}

/// Why there is no program to run.
#[derive(Debug)]
enum NoProgram {
    Unnamed,
    /// There is none at this path.
    AtPath(PathBuf, io::Error),
    /// There is none of this name in the folders of this search path.
    InSearch(OsString, OsString),
    /// It cannot work in this directory.
    Directory(PathBuf, io::Error),
    NotStarted(PathBuf, io::Error),
}

impl fmt::Display for NoProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("`file` is empty: it names no program"),
            Self::AtPath(path, error) if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "there is no program `{}`", path.display())
            }
            Self::AtPath(path, error) => {
                write!(f, "`{}` cannot be run: {error}", path.display())
            }
            Self::InSearch(name, search) => write!(
                f,
                "there is no program `{}` in the folders of PATH ({}); for one that is elsewhere, \
                 give its path",
                name.display(),
                search.display()
            ),
            Self::Directory(path, error) => {
                write!(
                    f,
                    "the working directory `{}` cannot be used: {error}",
                    path.display()
                )
            }
            Self::NotStarted(path, error) => {
                write!(f, "`{}` was not started: {error}", path.display())?;
                if error.kind() == io::ErrorKind::NotFound {
                    f.write_str(
                        "; the file is there, so its interpreter or loader is what is not",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl Error for NoProgram {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::AtPath(_, error) | Self::Directory(_, error) | Self::NotStarted(_, error) => {
                Some(error)
            }
            Self::Unnamed | Self::InSearch(..) => None,
        }
    }
}

impl From<NoProgram> for io::Error {
    fn from(error: NoProgram) -> Self {
        let kind = match &error {
            NoProgram::Unnamed => io::ErrorKind::InvalidInput,
            NoProgram::InSearch(..) => io::ErrorKind::NotFound,
            NoProgram::AtPath(_, error)
            | NoProgram::Directory(_, error)
            | NoProgram::NotStarted(_, error) => error.kind(),
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(name: &str, mode: u32) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        folder
    }

    #[test]
    fn a_name_is_the_first_that_can_be_executed() {
        let (text, first, second) = (
            folder("tool", 0o644),
            folder("tool", 0o755),
            folder("tool", 0o755),
        );
        let search = [
            Path::new(""),
            Path::new("bin"),
            text.path(),
            first.path(),
            second.path(),
        ];
        let search = std::env::join_paths(search).unwrap();
        let found = find(OsStr::new("tool"), Some(search)).unwrap();
        assert_eq!(found, first.path().join("tool"));
    }

    #[test]
    fn what_is_not_found_is_named_with_where_it_was_looked_for() {
        let text = folder("tool", 0o644);
        let search =
            |name: &str, search: &Path| find(OsStr::new(name), Some(search.into())).unwrap_err();
        let error = search("other", text.path());
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let words = error.to_string();
        assert!(words.contains("`other`"), "{words}");
        assert!(
            words.contains(&format!("PATH ({})", text.path().display())),
            "{words}"
        );
        let error = search("tool", text.path());
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("may execute"), "{error}");
        let error = search("./none/tool", text.path());
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("none/tool`"), "{error}");
        let error = search(text.path().to_str().unwrap(), text.path());
        assert!(error.to_string().contains("not a file"), "{error}");
        assert_eq!(search("", text.path()).kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            find(OsStr::new("sh"), None).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
