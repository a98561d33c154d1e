//! Lines that come out whole beside the bars of `progress = ".."`.
//!
//! While a bar stands on the terminal, whatever else is printed there tears it. What is printed
//! by the functions of this module stands above the bars instead, as the output of worker processes and
//! the messages of panics do by themselves. `println!` in a body that runs on a thread of this process
//! cannot be caught; the next drawing of the bars then leaves a torn line behind.
//!
//! ```
//! use runspace::{foreach_parallel, progress};
//!
//! foreach_parallel!(["a", "b"], progress = "Hashing", |name| {
//!     progress::println(format_args!("{name} is empty"));
//! })
//! .wait();
//! ```

// How it works: a call counts in a `Meter`, which is a few atomics. One thread, the painter, looks at
// all meters of the process ten times a second and shows them, as bars or as lines. The layers: `mode`,
// `estimate`, `text`, `meter`; `screen`, the terminal; `painter`, who is the only one to draw there.

mod estimate;
mod meter;
mod mode;
mod painter;
mod screen;
mod text;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write};

pub(crate) use meter::Meter;
pub(crate) use mode::{Mode, mode};
#[cfg(all(feature = "ctrl_c", unix))]
pub(crate) use painter::withdraw;

use crate::print;

/// Prints a line to stdout, above any bars: `println!` for bodies.
///
/// A stream that cannot be written to is passed over, where `println!` would panic.
pub fn println(line: impl Display) {
    let line = line.to_string();
    screen::above(io::stdout().is_terminal(), || print::out(&line));
}

/// Prints a line to stderr, above any bars: `eprintln!` for bodies.
///
/// A stream that cannot be written to is passed over, where `eprintln!` would panic.
pub fn eprintln(line: impl Display) {
    let line = line.to_string();
    screen::above(io::stderr().is_terminal(), || print::err(&line));
}

/// A writer to stderr whose lines come out above any bars: for loggers.
///
/// A line is printed when it is whole; what is left of one when the writer is flushed or dropped.
///
/// ```
/// use std::io::Write as _;
///
/// let mut log = runspace::progress::stderr();
/// writeln!(log, "2 files skipped").unwrap();
/// ```
#[must_use]
pub fn stderr() -> Lines {
    Lines { begun: Vec::new() }
}

/// What [`stderr`] answers.
#[derive(Debug)]
pub struct Lines {
    /// A line that has no end yet.
    begun: Vec<u8>,
}

impl Lines {
    fn print(&mut self, length: usize) -> io::Result<()> {
        let rest = self.begun.split_off(length);
        let whole = std::mem::replace(&mut self.begun, rest);
        if whole.is_empty() {
            return Ok(());
        }
        let err = io::stderr();
        screen::above(err.is_terminal(), || {
            print::STDERR.write(&mut err.lock(), &whole)
        })
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        if let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') {
            self.print(end + 1)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.begun.is_empty() {
            // The bars would stand in the rest of the line.
            self.begun.push(b'\n');
        }
        self.print(self.begun.len())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}
