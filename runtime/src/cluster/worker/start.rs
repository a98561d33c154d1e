//! The constructor that makes a process a worker of a cluster.
//!
//! `unsafe` in this module: the call of the constructors that come after this one, and the change of the
//! environment.

#![allow(unsafe_code)]

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

use super::host::{self, Wishes};
use crate::process::{
    Constructor, has_rights_of_file, inits_after, main_serves, set_default_signals,
};
use crate::sync::Mutex;

/// The variable that makes a process a worker, of the server at this address.
const WORKER: &str = "RUNSPACE_WORKER";

#[used]
#[unsafe(link_section = ".init_array")]
static START: Constructor = start;

/// Where the server is, once this process is known to be a worker.
static URL: OnceLock<Mutex<Option<String>>> = OnceLock::new();

/// # Safety
/// As the loader calls constructors.
unsafe extern "C" fn start(count: c_int, args: *mut *mut c_char, environment: *mut *mut c_char) {
    let Some(url) = std::env::var_os(WORKER).filter(|it| !it.is_empty()) else {
        return;
    };
    if has_rights_of_file() {
        // The variable comes from the process that has started this one, which has fewer rights: with the server it
        // would choose the code that runs with them.
        eprintln!(
            "runspace: {WORKER} is not obeyed, because this program has rights of its own (set-user-ID, set-group-ID \
             or file capabilities)"
        );
        return;
    }
    // SAFETY: a constructor runs before there is a second thread that knows of the environment. Programs that
    // a body starts are no workers.
    unsafe { std::env::remove_var(WORKER) };
    set_default_signals();
    let url = url.to_string_lossy().into_owned();
    let _ = URL.set(Mutex::new(Some(url)));
    if main_serves() {
        return;
    }
    for init in inits_after(start) {
        // SAFETY: the loader would call it next, with these arguments; it never does, for
        // this process ends before this constructor returns.
        unsafe { init(count, args, environment) };
    }
    serve_if_worker();
}

/// In a worker: works until it is told to leave, and ends the process. Otherwise does nothing.
pub(crate) fn serve_if_worker() {
    let url = URL.get().and_then(|url| url.lock().take());
    let Some(url) = url else {
        return;
    };
    let code = Wishes::of_environment(url).and_then(|wishes| host::work(&wishes));
    let code = code.unwrap_or_else(|error| {
        eprintln!("runspace: this worker cannot work: {error}");
        2
    });
    std::process::exit(code)
}
