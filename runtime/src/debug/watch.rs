//! The thread that looks how long the waits are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::text::Seconds;
use super::{VARIABLE, dump_waits, limit, roll};
use crate::per_process::PerProcess;

static STARTED: PerProcess<AtomicBool> = PerProcess::new(|| AtomicBool::new(false));

/// Starts the thread, if there is a limit and no such thread. With none to be had, the next wait tries again.
pub(super) fn start() {
    let Some(limit) = limit() else {
        return;
    };
    if STARTED.swap(true, Ordering::Relaxed) {
        return;
    }
    let thread = thread::Builder::new().name("runspace-hang".to_owned());
    if thread.spawn(move || watch(limit)).is_err() {
        STARTED.store(false, Ordering::Relaxed);
    }
}

/// When to tell: when a wait has become too long, and then at growing intervals for as long as there
/// is one that is.
struct Teller {
    limit: Duration,
    /// Until the next time. Doubled each time.
    pause: Duration,
    last: Option<Instant>,
}

impl Teller {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            pause: limit,
            last: None,
        }
    }

    /// Whether to tell now that the longest wait has lasted for so long.
    fn tells(&mut self, longest: Option<Duration>, now: Instant) -> bool {
        if longest.is_none_or(|it| it < self.limit) {
            self.pause = self.limit;
            // It is not forgotten: waits that become too long one after the other are told of no more often.
            return false;
        }
        if self.last.is_some_and(|it| now - it < self.pause) {
            return false;
        }
        if self.last.is_some() {
            self.pause = self.pause.saturating_mul(2);
        }
        self.last = Some(now);
        true
    }
}

fn watch(limit: Duration) {
    let step = (limit / 8).clamp(Duration::from_millis(1), Duration::from_secs(1));
    let mut teller = Teller::new(limit);
    loop {
        thread::sleep(step);
        let longest = roll::longest();
        if teller.tells(longest, Instant::now()) {
            let longest = longest.unwrap_or_default();
            print(&format!(
                "runspace: process {}: a wait has lasted {} ({VARIABLE}={})\n{}",
                std::process::id(),
                Seconds(longest),
                limit.as_secs_f64(),
                dump_waits()
            ));
        }
    }
}

/// Writes to stderr, and not by way of std's, whose lock the hung code may hold.
pub(super) fn print(text: &str) {
    use std::io::Write as _;
    // Where there is no stderr, there is nobody to tell.
    #[cfg(unix)]
    let _ = {
        use std::os::fd::AsFd as _;
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        stderr.map(|it| std::fs::File::from(it).write_all(text.as_bytes()))
    };
    #[cfg(not(unix))]
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_goes_on_is_told_at_growing_intervals() {
        let limit = Duration::from_secs(1);
        let start = Instant::now();
        let mut teller = Teller::new(limit);
        let told: Vec<u64> = (0..100)
            .filter(|seconds| {
                let waited = Duration::from_secs(*seconds);
                teller.tells(Some(waited), start + waited)
            })
            .collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
        // Another, after that one is over.
        let now = start + Duration::from_secs(200);
        assert!(!teller.tells(None, now));
        assert!(teller.tells(Some(limit), now));
    }

    #[test]
    fn many_that_are_too_long_one_after_the_other_do_not_flood() {
        let limit = Duration::from_secs(1);
        let start = Instant::now();
        let mut teller = Teller::new(limit);
        let step = Duration::from_millis(10);
        let told = (0..1000_u32)
            .filter(|n| {
                let longest = (n % 2 == 0).then_some(limit);
                teller.tells(longest, start + step * *n)
            })
            .count();
        assert!(told <= 10, "{told}");
    }
}
