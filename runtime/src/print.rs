//! Lines to the streams of this process, in one piece.
//!
//! Whoever started the program may have made its stdout non-blocking (shells, editors and other runtimes do, for
//! the flag belongs to the pipe and not to the process). `write_all` then stops in the middle of a line with
//! [`io::ErrorKind::WouldBlock`], and what is left of it is lost.

#![deny(clippy::arithmetic_side_effects)]

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::time;

/// How long a stream that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(1);

/// A stream, and whether it has taken nothing for so long that it is not waited for any more.
#[derive(Debug)]
pub(crate) struct Outlet {
    is_stuck: AtomicBool,
}

pub(crate) static STDOUT: Outlet = Outlet::new();
pub(crate) static STDERR: Outlet = Outlet::new();

impl Outlet {
    const fn new() -> Self {
        Self {
            is_stuck: AtomicBool::new(false),
        }
    }

    /// Writes `bytes` to `out`, which has to be locked: so nothing of another thread comes between them. A stream that
    /// is full is waited for; one that has taken nothing for a second costs no other line more than a look.
    ///
    /// # Errors
    /// The stream is closed, or stays full.
    pub(crate) fn write(&self, out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
        self.write_within(out, bytes, PATIENCE)
    }

    fn write_within(
        &self,
        out: &mut impl Write,
        bytes: &[u8],
        patience: Duration,
    ) -> io::Result<()> {
        let mut end = match self.is_stuck.load(Ordering::Relaxed) {
            true => time::after(Duration::ZERO),
            false => time::after(patience),
        };
        let mut rest = bytes;
        loop {
            let step = match rest {
                // What the stream has taken may lie in its buffer.
                [] => out.flush().map(|()| None),
                rest => out.write(rest).map(Some),
            };
            match step {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Some(count)) => {
                    rest = rest.get(count..).unwrap_or_default();
                    self.is_stuck.store(false, Ordering::Relaxed);
                    end = time::after(patience);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if time::has_come(end, Instant::now()) {
                        self.is_stuck.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes a line to stdout. A stream that nobody reads is no reason to fail.
#[cfg_attr(
    not(any(feature = "process", feature = "progress")),
    allow(dead_code, reason = "nothing else prints")
)]
pub(crate) fn out(line: &str) {
    let _ = STDOUT.write(&mut io::stdout().lock(), ended(line).as_bytes());
}

/// The same to stderr.
#[cfg_attr(
    not(any(feature = "process", feature = "progress")),
    allow(dead_code, reason = "nothing else prints")
)]
pub(crate) fn err(line: &str) {
    let _ = STDERR.write(&mut io::stderr().lock(), ended(line).as_bytes());
}

fn ended(line: &str) -> String {
    let mut line = line.to_owned();
    line.push('\n');
    line
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Takes three bytes, then none, and so on; after `most` bytes none at all.
    struct Full {
        taken: Vec<u8>,
        most: usize,
        is_next: bool,
    }

    impl Full {
        fn new(most: usize) -> Self {
            Self {
                taken: Vec::new(),
                most,
                is_next: false,
            }
        }
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_next = !self.is_next;
            let count = bytes
                .len()
                .min(3)
                .min(self.most.saturating_sub(self.taken.len()));
            if count == 0 || !self.is_next {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.is_next = !self.is_next;
            match self.is_next {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    #[test]
    fn a_line_comes_out_whole_by_and_by() {
        let mut full = Full::new(usize::MAX);
        let outlet = Outlet::new();
        for _ in 0..10 {
            outlet.write(&mut full, b"a line of some length\n").unwrap();
        }
        assert_eq!(full.taken, b"a line of some length\n".repeat(10));
    }

    #[test]
    fn a_stream_that_stays_full_is_waited_for_once() {
        let mut full = Full::new(10);
        let outlet = Outlet::new();
        let patience = Duration::from_millis(20);
        let write =
            |full: &mut Full| outlet.write_within(full, b"a line of some length\n", patience);
        let error = write(&mut full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(outlet.is_stuck.load(Ordering::Relaxed));
        assert!(write(&mut full).is_err());
        full.most = usize::MAX;
        // The first look may be one at which it takes nothing.
        while write(&mut full).is_err() {}
        assert!(!outlet.is_stuck.load(Ordering::Relaxed));
        assert!(full.taken.ends_with(b"a line of some length\n"));
    }
}
