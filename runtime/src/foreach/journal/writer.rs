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
}

impl Writer {
    /// Opens the file, and reads what is in it.
    ///
    /// # Errors
    /// It cannot be used for this run, and is as it was.
    pub(crate) fn open(
        journal: &Journal,
        resume: bool,
        name: Option<&str>,
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
        if let (Some(before), Some(now)) = (&history.name, name)
            && before != now
        {
            return Err(JournalErrorKind::OtherCall(before.clone()));
        }
        mend(&mut file, &history).map_err(JournalErrorKind::Open)?;
        let sync = journal.sync;
        Ok((Self { file, sync }, history))
    }

    /// Adds a line, in one piece: a program that is killed leaves all of it or nothing, and a full disk
    /// at worst a piece at the end of the file.
    pub(crate) fn write(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        match self.sync {
            true => self.file.sync_data(),
            false => Ok(()),
        }
    }

    /// The bytes of a line.
    pub(crate) fn line(&mut self, stored: Stored) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; stored.length];
        self.file.seek(SeekFrom::Start(stored.offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Makes the file end with a whole line.
fn mend(file: &mut File, history: &History) -> io::Result<()> {
    if file.metadata()?.len() > history.whole {
        file.set_len(history.whole)?;
    }
    if history.is_open {
        file.write_all(b"\n")?;
    }
    Ok(())
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
