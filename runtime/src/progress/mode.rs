//! Whether and how progress is shown: for whoever runs the program to say.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::sync::OnceLock;

/// The variable that says it.
const VARIABLE: &str = "RUNSPACE_PROGRESS";

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not at all.
    Off,
    /// Lines on stderr, now and then.
    Plain,
    /// Bars on stderr.
    Bar,
}

/// How this process shows progress. A variable that cannot be understood is complained of, once.
pub(crate) fn mode() -> Mode {
    static MODE: OnceLock<Mode> = OnceLock::new();
    *MODE.get_or_init(|| {
        let (mode, complaint) = choose(std::env::var_os(VARIABLE), can_draw(), is_worker());
        if let Some(complaint) = complaint {
            super::eprintln(complaint);
        }
        mode
    })
}

fn choose(value: Option<OsString>, can_draw: bool, is_worker: bool) -> (Mode, Option<String>) {
    if is_worker {
        return (Mode::Off, None);
    }
    let value = value.filter(|it| !it.is_empty());
    let auto = if can_draw { Mode::Bar } else { Mode::Plain };
    match value.as_deref().map(OsStr::to_str) {
        None => (auto, None),
        Some(Some("off")) => (Mode::Off, None),
        Some(Some("plain")) => (Mode::Plain, None),
        // There is nothing that a bar could be drawn on otherwise.
        Some(Some("bar")) => (auto, None),
        Some(_) => {
            let shown = value.unwrap_or_default();
            let complaint = format!(
                "runspace: {VARIABLE} is {shown:?}, which is none of `off`, `plain` and `bar`; progress is shown as without it"
            );
            (auto, Some(complaint))
        }
    }
}

/// Whether stderr is a terminal where a line can be drawn again.
fn can_draw() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|it| it.is_empty() || it == "dumb");
    std::io::stderr().is_terminal() && (cfg!(windows) || !is_dumb)
}

/// What a worker process does is part of an item, which the parent counts.
fn is_worker() -> bool {
    #[cfg(feature = "process")]
    return crate::process::entry::depth() > 0;
    #[cfg(not(feature = "process"))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(value: &str, can_draw: bool) -> Mode {
        let (mode, complaint) = choose(Some(value.into()), can_draw, false);
        assert_eq!(complaint, None);
        mode
    }

    #[test]
    fn without_the_variable_the_terminal_decides() {
        assert_eq!(choose(None, true, false), (Mode::Bar, None));
        assert_eq!(choose(None, false, false), (Mode::Plain, None));
        assert_eq!(chosen("", true), Mode::Bar);
    }

    #[test]
    fn the_variable_decides() {
        assert_eq!(chosen("off", true), Mode::Off);
        assert_eq!(chosen("plain", true), Mode::Plain);
        assert_eq!(chosen("bar", true), Mode::Bar);
    }

    #[test]
    fn a_bar_needs_something_to_stand_on() {
        assert_eq!(chosen("bar", false), Mode::Plain);
    }

    #[test]
    fn what_is_none_of_them_is_complained_of() {
        let (mode, complaint) = choose(Some("fancy".into()), false, false);
        assert_eq!(mode, Mode::Plain);
        let complaint = complaint.unwrap();
        for part in [
            "RUNSPACE_PROGRESS",
            "\"fancy\"",
            "`off`",
            "`plain`",
            "`bar`",
        ] {
            assert!(complaint.contains(part), "{complaint}");
        }
    }

    #[test]
    fn a_worker_shows_nothing() {
        assert_eq!(choose(Some("plain".into()), true, true), (Mode::Off, None));
    }
}
