//! Those that we are compared with, each in the way that its own documentation shows.

mod python;
mod threads;

pub(crate) use python::Python;
pub(crate) use threads::{Body, Crowd};

use std::env;
use std::path::PathBuf;

/// Where a program is, if it is here at all.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|it| it.is_file())
}
