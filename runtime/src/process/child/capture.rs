//! What a child prints.

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read};

/// Where a line was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Takes the lines of a child, from whichever thread happens to read them. Must not block.
pub(crate) trait Lines: Send + Sync {
    fn line(&self, stream: Stream, line: String);
}

/// For lines that nobody wants.
pub(crate) struct NoLines;

impl Lines for NoLines {
    fn line(&self, _: Stream, _: String) {}
}

/// Text without a line break is cut here, so that it needs no more memory than this.
pub(crate) const LONGEST: usize = 1 << 20;

/// What stands at the end of each piece of a line that was cut, but for the last: without it and joined, the
/// pieces are the line.
pub(crate) const GOES_ON: &str = " (line goes on)";

/// How many lines are kept for the report of a crash, and how much of each.
const TAIL_LINES: usize = 20;
const TAIL_LINE: usize = 2 << 10;

/// How much is read before other work gets its turn.
const TURN: usize = 256 << 10;

/// One of the two pipes that a child prints into.
pub(super) struct Capture {
    stream: Stream,
    pipe: Option<OwnedFd>,
    /// The line that has begun.
    begun: Vec<u8>,
    tail: VecDeque<String>,
}

impl Capture {
    pub(super) fn new(stream: Stream, pipe: Option<OwnedFd>) -> Self {
        if let Some(pipe) = &pipe {
            let _ = fcntl_setfl(pipe, OFlags::NONBLOCK);
        }
        Self {
            stream,
            pipe,
            begun: Vec::new(),
            tail: VecDeque::new(),
        }
    }

    pub(super) fn pipe(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref()
    }

    /// Reads what is there. False when there will be no more.
    pub(super) fn drain(&mut self, lines: &Arc<dyn Lines>) -> bool {
        let mut memory = [MaybeUninit::uninit(); 16 << 10];
        let mut taken = 0;
        while let Some(pipe) = &self.pipe {
            match read(pipe.as_fd(), &mut memory) {
                Ok(([], _)) => break,
                Ok((bytes, _)) => {
                    let count = bytes.len();
                    self.split(bytes, lines);
                    taken += count;
                    if taken >= TURN || count < 4096 {
                        return true;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => break,
            }
        }
        false
    }

    /// Reads all that is there, however much, and takes the pipe away.
    pub(super) fn finish(&mut self, lines: &Arc<dyn Lines>) -> Option<OwnedFd> {
        // A process that goes on printing is not waited for: a pipe's worth is what was there.
        const PIPE: usize = 1 << 20;
        for _ in 0..PIPE / 4096 {
            let before = self.begun.len();
            let open = self.drain(lines);
            if !open || (self.begun.len() == before && self.is_empty()) {
                break;
            }
        }
        self.flush(lines);
        self.pipe.take()
    }

    /// Reads what is there, and takes what has begun for a line.
    pub(super) fn flush(&mut self, lines: &Arc<dyn Lines>) {
        self.drain(lines);
        if !self.begun.is_empty() {
            let line = std::mem::take(&mut self.begun);
            self.line(&line, lines);
        }
    }

    fn is_empty(&self) -> bool {
        let Some(pipe) = &self.pipe else { return true };
        rustix::io::ioctl_fionread(pipe).is_ok_and(|count| count == 0)
    }

    fn split(&mut self, bytes: &[u8], lines: &Arc<dyn Lines>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if self.begun.is_empty() && ends {
                self.line(text, lines);
                continue;
            }
            self.begun.extend_from_slice(text);
            if ends {
                let line = std::mem::take(&mut self.begun);
                self.line(&line, lines);
            } else if self.begun.len() >= LONGEST {
                let rest = self.begun.split_off(whole(&self.begun));
                let mut piece = std::mem::replace(&mut self.begun, rest);
                piece.extend_from_slice(GOES_ON.as_bytes());
                self.line(&piece, lines);
            }
        }
    }

    fn line(&mut self, line: &[u8], lines: &Arc<dyn Lines>) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = String::from_utf8_lossy(line).into_owned();
        if self.stream == Stream::Err && !is_frame(&line) {
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            let end = (0..=TAIL_LINE.min(line.len()))
                .rev()
                .find(|at| line.is_char_boundary(*at));
            self.tail.push_back(line[..end.unwrap_or(0)].to_owned());
        }
        lines.line(self.stream, line);
    }

    /// The last lines without those of backtraces, the one that has begun included.
    pub(super) fn tail(&self) -> Vec<String> {
        let begun = (!self.begun.is_empty()).then(|| String::from_utf8_lossy(&self.begun).into());
        self.tail.iter().cloned().chain(begun).collect()
    }

    /// Lines from here on are another's.
    pub(super) fn forget(&mut self) {
        self.tail.clear();
        self.begun.clear();
    }
}

/// How many bytes there are up to the last character that may be going on in what comes next. All of them where
/// the end is no text.
fn whole(bytes: &[u8]) -> usize {
    let is_inner = |byte: &&u8| **byte & 0xC0 == 0x80;
    let inner = bytes.iter().rev().take(3).take_while(is_inner).count();
    let Some((first, before)) = bytes[..bytes.len() - inner].split_last() else {
        return bytes.len();
    };
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return bytes.len(),
    };
    if inner + 1 < length {
        before.len()
    } else {
        bytes.len()
    }
}

/// Whether a line is one of a backtrace. Those would drive out the message that they stand below.
fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    let number = text.trim_start_matches(|it: char| it.is_ascii_digit());
    let is_function = number.len() < text.len() && number.starts_with(": ");
    text.len() < line.len() && (is_function || text.starts_with("at "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Mutex;

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Lines for Kept {
        fn line(&self, _: Stream, line: String) {
            self.0.lock().push(line);
        }
    }

    /// What comes of `text`, printed in pieces of `step` bytes.
    fn lines_of(text: &[u8], step: usize) -> Vec<String> {
        let kept = Arc::new(Kept::default());
        let lines = Arc::clone(&kept) as Arc<dyn Lines>;
        let mut capture = Capture::new(Stream::Out, None);
        for part in text.chunks(step) {
            capture.split(part, &lines);
        }
        capture.flush(&lines);
        std::mem::take(&mut *kept.0.lock())
    }

    #[test]
    fn a_line_that_is_cut_is_whole_again_without_the_marks() {
        for letter in ["x", "é", "€", "🦀", "e\u{301}", "\r"] {
            let count = 5 * LONGEST / 2 / letter.len();
            // At different places in the character, the cut.
            for (front, step) in [("", 4096), ("a", 16 << 10), ("ab", 4095), ("abc", 1000)] {
                let line = format!("{front}{}.", letter.repeat(count));
                let lines = lines_of(format!("{line}\nnext\n").as_bytes(), step);
                let (next, pieces) = lines.split_last().unwrap();
                assert_eq!(next, "next");
                let (last, cut) = pieces.split_last().unwrap();
                assert_eq!(cut.len(), 2, "{letter:?}");
                let cut = cut.iter().map(|it| it.strip_suffix(GOES_ON).unwrap());
                let joined: String = cut.chain([last.as_str()]).collect();
                assert!(joined == line, "{letter:?} by {step}");
                assert!(pieces.iter().all(|it| it.len() < LONGEST + (64 << 10)));
            }
        }
    }

    #[test]
    fn a_line_of_less_is_not_cut() {
        let line = "é".repeat(LONGEST / 2 - 1);
        assert!(lines_of(format!("{line}\r\n").as_bytes(), 4096) == [line.clone()]);
        assert!(lines_of(line.as_bytes(), 4096) == [line]);
    }

    #[test]
    fn what_is_no_text_is_cut_somewhere() {
        for byte in [0x80, 0xC0, 0xF0, 0xFF] {
            let lines = lines_of(&vec![byte; LONGEST + 10], 4096);
            assert_eq!(lines.len(), 2);
        }
    }
}
