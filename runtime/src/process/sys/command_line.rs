//! The command line that starts this program once more.
//!
//! A worker is `/proc/self/exe` with the arguments of this process. Where the program was started through a loader
//! (`ld-linux-x86-64.so.2 --library-path lib ./prog`, as bundles for Nix, AppImage and Steam do, or an interpreter of
//! `binfmt_misc`), that file is the loader: its own arguments come first then, as the kernel has them, and the program
//! by the path that it was mapped from, since the directory may have changed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use once_cell::race::OnceBox;

use super::image::image;

/// The arguments between the name of the executable and those of the program.
#[derive(Debug)]
enum Start {
    /// The executable is the program.
    Program,
    /// The executable is a loader: its name, its options and the path of the program.
    Loader(Vec<OsString>),
}

/// The arguments, the name of the program first, with which `/proc/self/exe` is this program.
///
/// # Errors
/// The program was started through a loader, and how cannot be told any more.
pub(crate) fn command_line() -> io::Result<Vec<OsString>> {
    // No thread waits for another that reads: it may not be there, in a process made by `fork`.
    static START: OnceBox<Result<Start, String>> = OnceBox::new();
    let args = std::env::args_os();
    match START.get_or_init(|| Box::new(Start::of_this_process())) {
        Ok(Start::Program) => Ok(args.collect()),
        Ok(Start::Loader(line)) => Ok(line.iter().cloned().chain(args.skip(1)).collect()),
        Err(text) => Err(io::Error::other(text.clone())),
    }
}

impl Start {
    fn of_this_process() -> Result<Self, String> {
        // Without these files there is no executable to start either, and that is said there.
        let (Ok(executable), Ok(maps)) =
            (fs::read_link("/proc/self/exe"), fs::read("/proc/self/maps"))
        else {
            return Ok(Self::Program);
        };
        match mapped_from(&maps, image().start()) {
            Some(program) if program != executable.as_os_str().as_bytes() => {
                let line = fs::read("/proc/self/cmdline").unwrap_or_default();
                let args: Vec<OsString> = std::env::args_os().collect();
                Self::through(&executable, program, &line, &args)
            }
            _ => Ok(Self::Program),
        }
    }

    /// The start of `program` through `loader`, where the kernel has the arguments `line` and the program `args`.
    fn through(
        loader: &Path,
        program: &[u8],
        line: &[u8],
        args: &[OsString],
    ) -> Result<Self, String> {
        let line: Vec<&[u8]> = line
            .strip_suffix(b"\0")
            .unwrap_or(line)
            .split(|it| *it == 0)
            .collect();
        let rest = args.get(1..).unwrap_or_default();
        let own = rest.iter().map(|it| it.as_bytes());
        let before = line.len().checked_sub(rest.len() + 1).filter(|it| *it > 0);
        let before = before.filter(|at| line[at + 1..].iter().copied().eq(own));
        let Some(before) = before else {
            return Err(format!(
                "this program runs through {}, and its command line has been changed since, so that \
                 no worker can be started in the same way; start the program itself",
                loader.display()
            ));
        };
        let program = OsStr::from_bytes(program);
        if !Path::new(program).exists() {
            return Err(format!(
                "this program runs through {}, and its own file {} is not there any more, so that no \
                 worker can be started",
                loader.display(),
                Path::new(program).display()
            ));
        }
        let mut start: Vec<_> = line[..before]
            .iter()
            .map(|it| OsString::from_vec(it.to_vec()))
            .collect();
        start.push(program.to_owned());
        Ok(Self::Loader(start))
    }
}

/// The path in `maps` of the file that is mapped at `address`.
fn mapped_from(maps: &[u8], address: usize) -> Option<&[u8]> {
    let number = |text: &[u8]| usize::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok();
    maps.split(|it| *it == b'\n').find_map(|line| {
        let mut fields = line.splitn(2, |it| *it == b' ');
        let (range, rest) = (fields.next()?, fields.next()?);
        let dash = range.iter().position(|it| *it == b'-')?;
        let (start, end) = (number(&range[..dash])?, number(&range[dash + 1..])?);
        let path = rest.iter().position(|it| *it == b'/')?;
        (start..end).contains(&address).then(|| &rest[path..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    fn line(text: &str) -> Vec<u8> {
        let mut line = text.replace(' ', "\0").into_bytes();
        line.push(0);
        line
    }

    fn through(kernel: &str, own: &str) -> Result<Vec<OsString>, String> {
        let loader = Path::new("/lib64/ld.so");
        match Start::through(loader, b"/proc/self/exe", &line(kernel), &args(own))? {
            Start::Loader(line) => Ok(line),
            Start::Program => unreachable!("it runs through a loader"),
        }
    }

    #[test]
    fn the_options_of_a_loader_are_kept_and_the_program_is_named_by_its_file() {
        let start = through("ld.so --library-path lib ./prog a b", "./prog a b");
        assert_eq!(
            start.unwrap(),
            args("ld.so --library-path lib /proc/self/exe")
        );
        let start = through("ld.so ./prog", "./prog");
        assert_eq!(start.unwrap(), args("ld.so /proc/self/exe"));
        // An interpreter of `binfmt_misc` puts the path where the name was.
        let start = through("interpreter /bin/prog a", "prog a");
        assert_eq!(start.unwrap(), args("interpreter /proc/self/exe"));
    }

    #[test]
    fn a_command_line_that_was_overwritten_is_refused_in_words() {
        for (kernel, own) in [("prog: idle", "./prog a b"), ("ld.so ./prog x", "./prog a")] {
            let error = through(kernel, own).unwrap_err();
            assert!(error.contains("command line has been changed"), "{error}");
        }
        let loader = Path::new("/lib64/ld.so");
        let error = Start::through(loader, b"/gone (deleted)", &line("ld.so p"), &args("p"));
        assert!(error.unwrap_err().contains("is not there any more"));
    }

    #[test]
    fn a_mapping_is_found_by_an_address_in_it() {
        let maps = b"00400000-00401000 r--p 00000000 08:01 12 /a b/prog\n00401000-00402000 rw-p 00000000 00:00 0 \n";
        assert_eq!(mapped_from(maps, 0x40_0fff), Some(&b"/a b/prog"[..]));
        assert_eq!(mapped_from(maps, 0x40_1000), None);
        assert_eq!(mapped_from(b"nonsense", 0), None);
    }

    #[test]
    fn this_process_is_started_as_it_was() {
        assert_eq!(
            command_line().unwrap(),
            std::env::args_os().collect::<Vec<_>>()
        );
    }
}
