//! Programs on a terminal of their own, and what stands on it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

pub const COLUMNS: usize = 80;

/// A pseudo-terminal, and all that was ever printed on it.
pub struct Terminal {
    master: File,
    printed: Arc<Mutex<Vec<u8>>>,
}

/// A program that runs on one.
pub struct OnTerminal {
    pub terminal: Terminal,
    pub child: Child,
    reader: JoinHandle<()>,
}

impl OnTerminal {
    /// Starts a program whose terminal this is: what is typed there reaches it.
    pub fn start(program: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: u16::try_from(COLUMNS).unwrap(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        keep_what_is_printed(&master);
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap()
        };
        // Makes a session of its own for the program, and the terminal that of the session. The signals do what they
        // do by default, because a script that runs the tests in the background has them ignored.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait", "env", "--default-signal"])
            .arg(program.get_program())
            .args(program.get_args())
            .env("TERM", "xterm")
            .stdin(open())
            .stdout(open())
            .stderr(open());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command.spawn().unwrap();
        // The program alone has the terminal open from here on, so that it ends with it.
        drop(command);
        let mut from = File::from(master);
        let master = from.try_clone().unwrap();
        let printed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let to = Arc::clone(&printed);
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            terminal: Terminal { master, printed },
            child,
            reader,
        }
    }

    /// Waits for its end.
    pub fn end(mut self) -> (ExitStatus, Terminal) {
        let status = self.child.wait().unwrap();
        self.reader.join().unwrap();
        (status, self.terminal)
    }
}

/// Ctrl-C throws away what a terminal has been given and has not passed on yet, unless told not to:
/// a line that a program printed just before would be missing, and with it what the test counts.
fn keep_what_is_printed(terminal: &impl AsFd) {
    let mut modes = tcgetattr(terminal).unwrap();
    modes.local_modes.insert(LocalModes::NOFLSH);
    tcsetattr(terminal, OptionalActions::Now, &modes).unwrap();
}

impl Terminal {
    /// Types Ctrl-C.
    pub fn interrupt(&mut self) {
        self.master.write_all(b"\x03").unwrap();
    }

    /// All that was printed, with what moves the cursor.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.printed.lock().unwrap()).into_owned()
    }

    /// What is to be seen in the end, line by line, on a terminal that is high enough.
    pub fn screen(&self) -> Vec<String> {
        frames(&self.raw()).pop().unwrap_or_default()
    }
}

/// What is to be seen each time that the cursor goes to the begin of a line, and in the end.
pub fn frames(raw: &str) -> Vec<Vec<String>> {
    let mut screen = Screen::default();
    let frame = |part| {
        screen.print(part);
        let line = |row: &Vec<char>| row.iter().collect::<String>().trim_end().to_owned();
        screen.rows.iter().map(line).collect()
    };
    raw.split_inclusive('\r').map(frame).collect()
}

#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Screen {
    fn print(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\u{1b}' => {
                    assert_eq!(chars.next(), Some('['), "an escape that is none of these");
                    let mut number = String::new();
                    let last = loop {
                        match chars.next().expect("the rest of an escape") {
                            digit @ '0'..='9' => number.push(digit),
                            last => break last,
                        }
                    };
                    self.obey(last, number.parse().ok());
                }
                other => self.put(other),
            }
        }
    }

    fn put(&mut self, char: char) {
        if self.column == COLUMNS {
            self.column = 0;
            self.row += 1;
        }
        let (row, column) = (self.row, self.column);
        if self.rows.len() <= row {
            self.rows.resize(row + 1, Vec::new());
        }
        let row = &mut self.rows[row];
        if row.len() <= column {
            row.resize(column + 1, ' ');
        }
        row[column] = char;
        self.column += 1;
    }

    fn obey(&mut self, order: char, number: Option<usize>) {
        let count = number.unwrap_or(1);
        match order {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column = (self.column + count).min(COLUMNS),
            'D' => self.column = self.column.saturating_sub(count),
            'K' => {
                let from = if number == Some(2) { 0 } else { self.column };
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(from);
                }
            }
            'J' => {
                self.rows.truncate(self.row + 1);
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(self.column);
                }
            }
            'm' => {}
            other => panic!("the cursor is told {other:?}, which is new"),
        }
    }
}
