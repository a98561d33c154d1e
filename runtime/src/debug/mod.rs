//! The waits of a program that hangs, in words.
//!
//! A program that is started with `RUNSPACE_DEBUG_HANG=seconds` in its environment says on stderr, when a wait
//! of this crate has lasted for so long, what each of its waits, calls, jobs, runspaces, pools, shared throttles
//! and child processes is at; and again at growing intervals for as long as such a wait goes on. `0.5`
//! is half a second. A value that is no number of seconds above 0 is reported once and watches nothing.
//!
//! ```text
//! runspace: process 4711: a wait has lasted 5.0 s (RUNSPACE_DEBUG_HANG=5)
//! waits:
//!   5.0 s  thread `main`: the reader of the call at src/main.rs:3:17: item 2
//! calls:
//!   the call at src/main.rs:3:17: on Elastic, ordered; throttle 5, window 10; 1 worker (0 under way, 0 asleep, 0 wait for the reader)
//!     items: 3 taken, 2 consumed, 1 running, 0 set aside; the input has ended
//!     item 2 (try 1) for 5.0 s
//! ```
//!
//! The variable is read once, when the first call, job or runspace is made. What was made before is not told of.
//! While it is set, the items of a call run one by one, so that each has a beginning that can be told. Worker processes inherit
//! the variable: each says on its own stderr, which this process passes on, what it is at.
//!
//! Nothing of the user's runs for any of this, and nothing waits for a lock that the hung code may hold: what is
//! locked is told as `busy`.

mod roll;
mod text;
mod watch;

pub(crate) use roll::{Tell, Wait, enlist, let_go, wait};
pub(crate) use text::{Count, Name, Seconds, line};

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// The variable that has waits watched.
const VARIABLE: &str = "RUNSPACE_DEBUG_HANG";

/// Whether what waits is noted.
static STATE: AtomicU8 = AtomicU8::new(UNREAD);
const UNREAD: u8 = 0;
const OFF: u8 = 1;
const ON: u8 = 2;

/// How long a wait may last before it is told of, in microseconds; 0 for as long as it likes.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Whether what waits is noted. A load where it is not.
#[inline]
pub(crate) fn is_on() -> bool {
    match STATE.load(Ordering::Relaxed) {
        OFF => false,
        UNREAD => read(),
        _ => true,
    }
}

/// Reads the variable. Threads that do so at the same time read the same.
#[cold]
fn read() -> bool {
    if cfg!(loom) {
        return false;
    }
    let text = std::env::var_os(VARIABLE).unwrap_or_default();
    let text = text.to_string_lossy();
    let limit = match text.is_empty() {
        true => Ok(None),
        false => parse(&text).map(Some),
    };
    let micros = limit.as_ref().ok().copied().flatten().unwrap_or_default();
    if micros > 0 {
        LIMIT.store(micros, Ordering::Relaxed);
    }
    let state = if micros > 0 { ON } else { OFF };
    let first = STATE.compare_exchange(UNREAD, state, Ordering::Release, Ordering::Relaxed);
    if let (Ok(_), Err(reason)) = (first, &limit) {
        watch::print(&format!("runspace: {VARIABLE} {reason}\n"));
    }
    STATE.load(Ordering::Acquire) == ON
}

/// Microseconds of a text that says seconds.
fn parse(text: &str) -> Result<u64, String> {
    let refused = |why: &str| {
        format!(
            "is `{}`, {why}: no wait is watched. Set it to the seconds that a wait may last, such as 30 or 0.5",
            text.escape_debug()
        )
    };
    let seconds: f64 = text
        .trim()
        .parse()
        .map_err(|_| refused("which is no number"))?;
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(refused("which is not above 0"));
    }
    let limit = Duration::try_from_secs_f64(seconds).map_err(|_| refused("which is too long"))?;
    let micros = u64::try_from(limit.as_micros()).map_err(|_| refused("which is too long"))?;
    // Less than that is less than a wait that is over at once.
    Ok(micros.max(1000))
}

/// Whether each item that begins and ends is noted too. It has a price: items then run one by one.
pub(crate) fn notes_items() -> bool {
    is_on() && limit().is_some()
}

/// How long a wait may last, if that is limited.
fn limit() -> Option<Duration> {
    match LIMIT.load(Ordering::Relaxed) {
        0 => None,
        micros => Some(Duration::from_micros(micros)),
    }
}

/// Has [`dump_waits`] know what is made from now on, as if `RUNSPACE_DEBUG_HANG` were set, but without a time
/// limit, and without the single items of calls, which run as they always do. For the harness of a test that prints it
/// when the test is late.
///
/// ```
/// runspace::debug::track();
/// let results = runspace::foreach_parallel!(0..3, name = "unread", |n| n);
/// assert!(runspace::debug::dump_waits().contains("`unread`"));
/// drop(results);
/// ```
pub fn track() {
    if cfg!(loom) || is_on() {
        return;
    }
    STATE.store(ON, Ordering::Release);
}

/// What each wait, call, job, runspace, pool, shared throttle and child process of this process is at, in
/// lines of text. See the [module](self).
///
/// Jobs are always told; the rest is known where `RUNSPACE_DEBUG_HANG` is set, or after [`track`].
///
/// It can be called at any time from any thread: it runs none of the user's code, and does not wait for any lock that is
/// held for longer than moments.
#[must_use]
pub fn dump_waits() -> String {
    let mut out = String::new();
    roll::tell(&mut out);
    out
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::parse;

    #[test]
    fn seconds_are_read_as_they_are_written() {
        assert_eq!(parse("5"), Ok(5_000_000));
        assert_eq!(parse(" 0.5 "), Ok(500_000));
        assert_eq!(parse("1e-9"), Ok(1000));
    }

    #[test]
    fn what_is_no_time_is_refused_in_words() {
        for (text, why) in [
            ("soon", "no number"),
            ("0", "not above 0"),
            ("-1", "not above 0"),
            ("nan", "not above 0"),
            ("inf", "too long"),
            ("1e300", "too long"),
            ("1e15", "too long"),
            ("5s", "no number"),
            ("\n", "no number"),
        ] {
            let refused = parse(text).expect_err(text);
            assert!(refused.contains(why), "{text:?}: {refused}");
            assert!(refused.contains("such as 30"), "{refused}");
        }
    }
}
