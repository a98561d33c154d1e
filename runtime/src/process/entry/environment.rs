//! The environment of a worker, replaced by the parent's.

#![allow(unsafe_code)]

use std::ffi::OsString;

/// Makes `variables` all there are.
pub(super) fn set_environment(variables: Vec<(OsString, OsString)>) {
    let wanted = |name: &OsString| variables.iter().any(|(it, _)| it == name);
    let gone: Vec<OsString> = std::env::vars_os()
        .map(|it| it.0)
        .filter(|it| !wanted(it))
        .collect();
    for name in gone {
        // SAFETY: this runs in a worker that has not been given a body yet. Its only other thread
        // of this crate's waits in a system call and reads no variables; a thread that another
        // crate's constructor may have started is the one exception, and takes what it needs when
        // it starts.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in variables {
        if std::env::var_os(&name).as_ref() != Some(&value) {
            // SAFETY: see above.
            unsafe { std::env::set_var(name, value) };
        }
    }
}
