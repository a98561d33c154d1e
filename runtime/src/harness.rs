//! Panics that come out in the test that fails of them.
//!
//! The harness of `cargo test` keeps back what a test prints, and shows it if the test fails. To it, a thread belongs to the test
//! by which it was started, and to none if that is not known; kept threads, rayon's and that of the child processes work for one test after the
//! other. So the report of a panic there is shown with another test, or not at all, and where the panic is raised again none is
//! made: the test only fails. In such a program, and nowhere else, the report is made once more where the panic is raised again, by the
//! thread that fails of it.

use std::cell::RefCell;
use std::fmt;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, ThreadId};

/// Where a panic was, as far as that is known.
#[derive(Debug)]
pub(crate) struct Origin {
    thread: ThreadId,
    name: Option<String>,
    location: Option<String>,
}

thread_local! {
    /// Of the last panic on this thread.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

const UNKNOWN: u8 = 0;
const NO: u8 = 1;
const YES: u8 = 2;

/// Whether this program is a test whose output is kept back. A load where it is not.
#[inline]
fn keeps_output_back() -> bool {
    static KEEPS: AtomicU8 = AtomicU8::new(UNKNOWN);
    match KEEPS.load(Ordering::Relaxed) {
        UNKNOWN => {
            let keeps = !cfg!(any(loom, miri)) && look();
            KEEPS.store(if keeps { YES } else { NO }, Ordering::Relaxed);
            keeps
        }
        keeps => keeps == YES,
    }
}

/// Cargo puts what it tests into a folder `deps`, under a name that ends with a hash, and runs it from there.
/// Nothing else tells a test from any other program. A wrong guess costs a line on stderr for a panic.
#[cold]
fn look() -> bool {
    let shows =
        |argument: std::ffi::OsString| argument == "--nocapture" || argument == "--no-capture";
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|it| it != "0");
    if std::env::args_os().any(shows) || is_set("RUST_TEST_NOCAPTURE") {
        return false;
    }
    std::env::current_exe().is_ok_and(|it| is_test(&it))
}

fn is_test(program: &Path) -> bool {
    let folder = program.parent().and_then(Path::file_name);
    let name = program.file_stem().and_then(|it| it.to_str());
    let hash = name.and_then(|it| it.rsplit_once('-')).map(|it| it.1);
    let is_hash = |it: &str| it.len() == 16 && it.bytes().all(|it| it.is_ascii_hexdigit());
    folder.is_some_and(|it| it == "deps") && hash.is_some_and(is_hash)
}

/// Before a thread of this crate runs anything of the user's: from here on the places of panics are known.
pub(crate) fn prepare() {
    static HOOK: Once = Once::new();
    if !keeps_output_back() || thread::panicking() {
        return;
    }
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let place = info.location().map(ToString::to_string);
            // A panic in a destructor of the thread's own values has no place to be kept.
            let _ = PLACE.try_with(|it| *it.borrow_mut() = place);
            before(info);
        }));
    });
}

impl Origin {
    /// Of a panic that was caught just now, on this thread. `None` where nobody will ask.
    pub(crate) fn here() -> Option<Self> {
        if !keeps_output_back() {
            return None;
        }
        let thread = thread::current();
        let location = PLACE.try_with(|it| it.borrow_mut().take()).ok().flatten();
        Some(Self {
            thread: thread.id(),
            name: thread.name().map(str::to_owned),
            location,
        })
    }
}

/// Reports a panic of another thread, or process, before it is raised again on this one.
pub(crate) fn report(origin: Option<&Origin>, what: impl fmt::Display) {
    if !keeps_output_back() {
        return;
    }
    match origin {
        // It is where it belongs already.
        Some(origin) if origin.thread == thread::current().id() => {}
        Some(origin) => {
            let name = origin.name.as_deref().unwrap_or("<unnamed>");
            let place = origin.location.as_deref();
            let at = place.map_or_else(String::new, |it| format!(" at {it}"));
            eprintln!("{what}\n(thread '{name}' panicked{at})");
        }
        None => eprintln!("{what}"),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_known_by_where_cargo_puts_it() {
        let is = |path: &str| is_test(Path::new(path));
        assert!(is("/a/target/debug/deps/order-0123456789abcdef"));
        assert!(is(
            "/a/target/x86_64-unknown-linux-musl/release/deps/a-b-0123456789abcdef"
        ));
        assert!(!is("/a/target/debug/order"));
        assert!(!is("/a/target/debug/deps/order"));
        assert!(!is("/usr/bin/order-0123456789abcdef"));
        assert!(!is("deps"));
    }
}
