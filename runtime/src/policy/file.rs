//! Files that may run, and the bytes in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::denied::Reason;
use super::start::Admitted;
use super::state::{Files, Hash};

/// The path of a file with all links followed.
pub(super) fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    match fs::metadata(&path)?.is_file() {
        true => Ok(path),
        false => Err(no_file()),
    }
}

fn no_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")
}

/// Whether the file at `path` is among the approved `files`; if so, what to execute.
pub(super) fn examine(path: &Path, files: &Files) -> Result<Admitted, Reason> {
    let unreadable = |error: io::Error| Reason::Unreadable(error.to_string());
    let canonical = canonical(path).map_err(unreadable)?;
    let Some(hashes) = files.get(&canonical) else {
        return Err(Reason::File(canonical));
    };
    if hashes.is_empty() {
        // No link is left in it that could be turned elsewhere meanwhile.
        return Ok(Admitted {
            path: canonical,
            held: None,
        });
    }
    let (copy, hash) = sealed_copy(&canonical).map_err(unreadable)?;
    if !hashes.contains(&hash) {
        return Err(Reason::Hash(canonical, Box::new(hash)));
    }
    Ok(Admitted {
        path: path_to(&copy),
        held: Some(copy),
    })
}

/// A path to an open file that works in a child, too, and after its own descriptors have closed, as
/// the interpreter of a script needs it.
fn path_to(file: &File) -> PathBuf {
    PathBuf::from(format!(
        "/proc/{}/fd/{}",
        std::process::id(),
        file.as_raw_fd()
    ))
}

/// A copy of the file that nobody can change, and the hash of it.
fn sealed_copy(path: &Path) -> io::Result<(File, Hash)> {
    // Opening never waits, whatever has come to stand at that path.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut original = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !original.metadata()?.is_file() {
        return Err(no_file());
    }
    let mut writer = memory()?;
    io::copy(&mut original, &mut writer)?;
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(writer.as_fd(), seals)?;
    // The system does not execute what is open for writing.
    let mut copy = File::open(path_to(&writer))?;
    drop(writer);
    let mut hasher = Sha256::new();
    let mut memory = vec![0; 64 << 10];
    loop {
        match io::Read::read(&mut copy, &mut memory) {
            Ok(0) => break,
            Ok(count) => hasher.update(&memory[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    copy.seek(SeekFrom::Start(0))?;
    Ok((copy, hasher.finalize().into()))
}

/// An empty file in memory that can be executed.
fn memory() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Systems before Linux 6.3 do not know the last flag, and execute without it.
    let made = match memfd_create(c"runspace-program", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(c"runspace-program", flags),
        made => made,
    };
    Ok(made?.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sealed_copy_has_the_hash_of_its_bytes_and_keeps_them() {
        let mut original = tempfile::NamedTempFile::new().unwrap();
        original.write_all(b"abc").unwrap();
        let (copy, hash) = sealed_copy(original.path()).unwrap();
        assert_eq!(hash[..4], [0xba, 0x78, 0x16, 0xbf]); // of the standard's own example
        original.write_all(b"def").unwrap();
        assert_eq!(fs::read(path_to(&copy)).unwrap(), b"abc");
        let write = OpenOptions::new().write(true).open(path_to(&copy));
        assert!(write.and_then(|mut it| it.write_all(b"x")).is_err());
    }

    #[test]
    fn only_a_file_is_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(canonical(folder.path()).is_err());
        assert!(sealed_copy(folder.path()).is_err());
        assert!(canonical(&folder.path().join("none")).is_err());
    }
}
