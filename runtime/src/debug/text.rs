//! Words and numbers.

use std::fmt;
use std::time::Duration;

/// Adds a line.
pub(crate) fn line(out: &mut String, depth: usize, text: fmt::Arguments<'_>) {
    use fmt::Write as _;
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}

/// A time, as in `5.0 s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s", self.0.as_secs_f64())
    }
}

/// Some things, as in `1 worker` and `2 workers`.
pub(crate) struct Count(pub(crate) usize, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = self;
        let end = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {what}{end}")
    }
}

/// A name of the user's, on one line whatever is in it.
pub(crate) struct Name<'a>(pub(crate) &'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.replace(char::is_control, " "))
    }
}
