//! Reads what the runs before have left in a journal.
//!
//! Values stay in the file: what is kept of a finished item is where its line is.

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead};

use super::format::{self, DONE, Event, FORMAT, Line, Origin};

/// What a journal says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct History {
    /// The finished items by their hash, each as often as it was finished, the first first.
    pub(crate) done: HashMap<String, VecDeque<Stored>>,
    /// What its last run says of its call; `None` if there is no run in it.
    pub(crate) origin: Option<Origin>,
    /// The bytes that are whole lines. What comes behind them was torn off by the end of a program.
    pub(crate) whole: u64,
    /// The last line is whole, but for the end of the line.
    pub(crate) is_open: bool,
}

/// A line with the value of a finished item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) length: usize,
}

/// Why a journal cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Io(io::Error),
    /// A line that is none of a journal, from 1, and what is wrong with it.
    Line(u64, String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl History {
    /// Reads a journal from its start.
    ///
    /// # Errors
    /// It cannot be read, or has a line that is none of a journal. A last line without an end is no
    /// error: a program was killed while it wrote it.
    pub(crate) fn read(mut from: impl BufRead) -> Result<Self, Unreadable> {
        let mut history = Self::default();
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let length = from.read_until(b'\n', &mut bytes)?;
            if length == 0 {
                break;
            }
            let is_whole = bytes.ends_with(b"\n");
            match history.take(&bytes, number) {
                Ok(()) => history.is_open = !is_whole,
                Err(_) if !is_whole && history.may_be_torn(&bytes) => break,
                Err(problem) => return Err(Unreadable::Line(number, problem)),
            }
            history.whole += length as u64;
        }
        Ok(history)
    }

    fn take(&mut self, bytes: &[u8], number: u64) -> Result<(), String> {
        if bytes.trim_ascii().is_empty() {
            return match bytes.ends_with(b"\n") {
                true => Ok(()),
                false => Err("an empty line".to_owned()),
            };
        }
        let line = Line::read(bytes)?;
        if self.origin.is_none() && line.event != Event::Run {
            return Err("a journal begins with the line of a run".to_owned());
        }
        match line.event {
            Event::Run => self.begin(format::read(bytes)?),
            Event::Item => {
                let item = line.item.ok_or("there is no `item`")?;
                let outcome = line.outcome.ok_or("there is no `outcome`")?;
                if outcome == DONE && line.value.is_some() {
                    self.done.entry(item).or_default().push_back(Stored {
                        line: number,
                        offset: self.whole,
                        length: bytes.len(),
                    });
                }
                Ok(())
            }
            Event::End => Ok(()),
        }
    }

    fn begin(&mut self, mut origin: Origin) -> Result<(), String> {
        match origin.format {
            Some(1..=FORMAT) => {}
            Some(other) => {
                return Err(format!(
                    "it is of format {other}, and this version reads up to {FORMAT}"
                ));
            }
            None => return Err("there is no `format`".to_owned()),
        }
        // A name stays, also where a run in between had none.
        let before = self.origin.take().and_then(|it| it.name);
        origin.name = origin.name.or(before);
        self.origin = Some(origin);
        Ok(())
    }

    /// Whether bytes without the end of a line are the beginning of one. In a file without a run that
    /// is to be seen in them: the file may be something else altogether.
    fn may_be_torn(&self, bytes: &[u8]) -> bool {
        const RUN: &[u8] = br#"{"event":"run","#;
        let seen = RUN.len().min(bytes.len());
        self.origin.is_some() || bytes[..seen] == RUN[..seen]
    }

    /// The finished items, each as often as it was.
    pub(crate) fn finished(&self) -> u64 {
        self.done.values().map(|it| it.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = r#"{"event":"run","format":1,"run":"a","name":"n"}"#;

    fn done(item: &str, value: &str) -> String {
        format!(r#"{{"event":"item","item":"{item}","outcome":"done","value":{value}}}"#)
    }

    fn read(text: &str) -> Result<History, String> {
        History::read(text.as_bytes()).map_err(|error| match error {
            Unreadable::Io(error) => error.to_string(),
            Unreadable::Line(number, problem) => format!("{number}: {problem}"),
        })
    }

    #[test]
    fn nothing_is_an_empty_history() {
        assert_eq!(read("").unwrap(), History::default());
    }

    #[test]
    fn the_values_of_finished_items_are_found_where_they_are() {
        let failed = r#"{"event":"item","item":"x","outcome":"failed","value":1}"#;
        let lines = [
            RUN,
            &done("x", "null"),
            failed,
            &done("y", "[2]"),
            &done("x", "3"),
        ];
        let text = lines.join("\n") + "\n";
        let history = read(&text).unwrap();
        assert_eq!(history.origin.as_ref().unwrap().name.as_deref(), Some("n"));
        assert_eq!(history.whole, text.len() as u64);
        let values = |item: &str| -> Vec<(u64, String)> {
            let stored = history.done[item].iter();
            let value = |it: &Stored| {
                let start = usize::try_from(it.offset).unwrap();
                let line = Line::read(&text.as_bytes()[start..start + it.length]).unwrap();
                (it.line, line.value.unwrap().get().to_owned())
            };
            stored.map(value).collect()
        };
        assert_eq!(values("x"), [(2, "null".to_owned()), (5, "3".to_owned())]);
        assert_eq!(values("y"), [(4, "[2]".to_owned())]);
    }

    #[test]
    fn a_line_torn_anywhere_is_passed_over() {
        let whole = format!("{RUN}\n{}\n", done("x", "\"é\""));
        let last = done("y", "[1,2]");
        for cut in 0..last.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes.extend_from_slice(&last.as_bytes()[..cut]);
            let history = History::read(&bytes[..]).unwrap();
            assert_eq!(history.whole, whole.len() as u64, "{cut}");
            assert_eq!(history.done.len(), 1, "{cut}");
            assert!(!history.is_open);
        }
        // Only the end of the line is missing: it is whole.
        let history = read(&(whole + &last)).unwrap();
        assert_eq!(history.done.len(), 2);
        assert!(history.is_open);
    }

    #[test]
    fn a_torn_first_line_is_passed_over_and_another_file_is_not() {
        for cut in 1..RUN.len() {
            assert_eq!(read(&RUN[..cut]).unwrap().whole, 0, "{cut}");
        }
        assert!(read("PNG").unwrap_err().starts_with("1: "));
        assert!(read("{\"a\":1}").unwrap_err().starts_with("1: "));
        assert!(read(" ").unwrap_err().starts_with("1: "));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for bad in [
            "{",
            "junk",
            "[1]",
            r#"{"event":"other"}"#,
            r#"{"event":"item"}"#,
        ] {
            let text = format!("{RUN}\n{}\n{bad}\n{}\n", done("x", "1"), done("y", "1"));
            assert!(read(&text).unwrap_err().starts_with("3: "), "{bad}");
        }
        let later = RUN.replace("1", "2");
        let problem = read(&(later + "\n")).unwrap_err();
        assert!(problem.contains("format 2"), "{problem}");
        assert!(
            read(&(done("x", "1") + "\n"))
                .unwrap_err()
                .starts_with("1: ")
        );
    }
}
