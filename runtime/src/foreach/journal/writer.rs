//! The file of a journal: opened once, and added to line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
#[cfg(unix)]
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::JournalErrorKind;
use super::options::Journal;
use super::reader::{History, Stored, Unreadable};

/// A journal that is written to. No other run can open it meanwhile.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    sync: bool,
    /// The bytes that are whole lines.
    length: u64,
    /// A line could not be written: no more are. Those before can be read.
    is_broken: bool,
}

impl Writer {
    /// Opens the file, and reads what is in it, which `check` has to be content with.
    ///
    /// # Errors
    /// It cannot be used for this run, and is as it was.
    pub(crate) fn open(
        journal: &Journal,
        resume: bool,
        check: impl FnOnce(&History) -> Result<(), JournalErrorKind>,
    ) -> Result<(Self, History), JournalErrorKind> {
        let mut options = OpenOptions::new();
        options.create(true).read(true).append(true);
        let mut file = options
            .open(&journal.path)
            .map_err(JournalErrorKind::Open)?;
        lock(&file)?;
        let length = file.metadata().map_err(JournalErrorKind::Open)?.len();
        if !resume && length > 0 {
            return Err(JournalErrorKind::Exists);
        }
        // A device has no length, and may have no end.
        let history =
            History::read(BufReader::new((&file).take(length))).map_err(|error| match error {
                Unreadable::Io(error) => JournalErrorKind::Open(error),
                Unreadable::Line(line, problem) => JournalErrorKind::Line { line, problem },
            })?;
        check(&history)?;
        let length = mend(&mut file, &history).map_err(JournalErrorKind::Open)?;
        let sync = journal.sync;
        let is_broken = false;
        let writer = Self {
            file,
            sync,
            length,
            is_broken,
        };
        Ok((writer, history))
    }

    /// Adds a line, in one piece: a program that is killed leaves all of it or nothing, unless the disk is full
    /// at that moment. What a full disk has taken of a line is taken back, and no other is added: it could come behind
    /// a piece that was not.
    pub(crate) fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        if self.is_broken {
            return Ok(());
        }
        let written = self.add(line);
        if written.is_err() {
            self.is_broken = true;
            // The next run would pass it over, too.
            let _ = self.file.set_len(self.length);
        }
        written
    }

    fn add(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        if self.sync {
            self.file.sync_data()?;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The bytes of a line.
    pub(crate) fn line(&mut self, stored: Stored) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; stored.length];
        self.file.seek(SeekFrom::Start(stored.offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Makes the file end with a whole line; answers how long it is then.
///
/// A torn line is cut off. Nothing is lost with it: a value is handed out when its line is whole, so the
/// item has to run again in any case.
fn mend(file: &mut File, history: &History) -> io::Result<u64> {
    if file.metadata()?.len() > history.whole {
        file.set_len(history.whole)?;
    }
    if history.is_open {
        file.write_all(b"\n")?;
    }
    Ok(history.whole + u64::from(history.is_open))
}

impl Drop for Writer {
    fn drop(&mut self) {
        unlock(&self.file);
    }
}

/// Until [`unlock`], or the end of the program.
#[cfg(unix)]
fn lock(file: &File) -> Result<(), JournalErrorKind> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;
    /// A process that another thread of a killed program was starting has its files for so long at most.
    const PATIENCE: Duration = Duration::from_millis(250);
    let start = Instant::now();
    while let Err(Errno::WOULDBLOCK) = flock(file, FlockOperation::NonBlockingLockExclusive) {
        if start.elapsed() > PATIENCE {
            return Err(JournalErrorKind::InUse);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // Locked; or it is a file that has no locks, such as a device.
    Ok(())
}

/// To close the file is not enough: a process that is being started has it too, for a moment.
#[cfg(unix)]
fn unlock(file: &File) {
    let _ = rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock);
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "there are locks elsewhere")]
fn lock(_: &File) -> Result<(), JournalErrorKind> {
    Ok(())
}

#[cfg(not(unix))]
fn unlock(_: &File) {}
