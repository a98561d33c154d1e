//! Functions that are jobs, under their own names and others, near and far.
#![deny(
    warnings,
    unused,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    future_incompatible
)]
#![forbid(unsafe_code)]

use std::num::ParseIntError;
use std::path::PathBuf;

use runspace::start_job;

/// How long a path is, times a factor.
#[runspace::job]
fn measure(path: PathBuf, factor: usize) -> usize {
    path.as_os_str().len() * factor
}

/// A module with jobs in it.
pub mod images {
    /// One with a pattern for a parameter, and another attribute.
    #[runspace::job(name = "resize")]
    #[must_use]
    pub fn resize((width, height): (u32, u32), mut by: u32) -> (u32, u32) {
        by += 1;
        (width * by, height * by)
    }

    /// Its only parameter has its name.
    #[runspace::job]
    pub(crate) fn same(same: u8) -> u8 {
        same
    }

    pub(super) mod deep {
        #[runspace::job(crate = ::runspace, name = "deep")]
        pub(in super::super) fn nothing() {}
    }
}

#[runspace::job]
fn fallible(text: String) -> Result<u8, String> {
    let parsed: Result<u8, ParseIntError> = text.parse();
    parsed.map_err(|error| error.to_string())
}

fn main() {
    use images::resize;

    // The functions are as they were.
    assert_eq!(measure(PathBuf::from("abc"), 2), 6);
    assert_eq!(resize((1, 2), 1), (2, 4));
    assert_eq!(images::same(1), 1);
    images::deep::nothing();

    let path = PathBuf::from("abc");
    assert_eq!(start_job!(measure(path.clone(), 2)).join().unwrap(), 6);
    assert_eq!(start_job!(name = "m", measure(path, 1)).join().unwrap(), 3);
    assert_eq!(
        start_job!(images::resize((1, 2), 1)).join().unwrap(),
        (2, 4)
    );
    assert_eq!(start_job!(resize((1, 2), 1),).join().unwrap(), (2, 4));
    assert_eq!(start_job!(self::images::same(3)).join().unwrap(), 3);
    start_job!(images::deep::nothing()).join().unwrap();
    let n = 300;
    let job = start_job!(fallible($using:n.to_string()));
    assert!(job.join().unwrap().is_err());
    local();
}

/// One that only this function can see.
fn local() {
    #[runspace::job]
    fn inside(n: u8) -> u8 {
        n + 1
    }
    assert_eq!(start_job!(inside(1)).join().unwrap(), 2);
}
