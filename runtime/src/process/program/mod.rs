//! Programs that are not this one: found, admitted by the policy, started, and seen to their end.
//!
//! A program is a child like a worker, without a channel: in a process group of its own, with
//! nothing on its standard input, its lines captured, always reaped. When it has ended, what it has
//! left in its group ends with it, and what is in its pipes then is all that is read: a grandchild
//! that keeps them open keeps nobody waiting.
//!
//! Unlike a worker it does not know of its parent, whose death it would not notice. The system kills
//! it then, see [`spawn`], but not what it has started: nobody is left who would.

mod find;
mod options;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::pipe::{PipeFlags, pipe_with};

use super::Failure;
use super::child::{Born, Child, Exit, Handle, Lines, NoLines, Spec, is_shortage, supervisor};
use super::entry::{DEPTH_VARIABLE, MARKER, depth, is_unborn_worker};
use super::link::MOST_DEPTH;
use super::sys::spawn;
use crate::policy;

pub use options::ProgramOptions;

/// A program that was started. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// What it was started from, which an interpreter may open only later.
    _held: Option<File>,
}

/// Starts the program, for a job of this name, and waits until it is there.
#[track_caller]
pub(crate) fn start(
    options: &ProgramOptions,
    name: &str,
    lines: Arc<dyn Lines>,
) -> Result<Program, Failure> {
    if is_unborn_worker() {
        return Err(Failure::InConstructor);
    }
    let depth = depth();
    if depth >= MOST_DEPTH {
        return Err(Failure::TooDeep(depth));
    }
    let path = find::find(&options.file, options.variable("PATH"));
    // What may not start is not looked for in vain: the refusal comes first.
    let wanted = path
        .as_ref()
        .map_or(options.file.as_ref(), |path| path.as_path());
    let admitted = policy::admit(Some(name), wanted).map_err(Failure::Denied)?;
    let path = path.map_err(Failure::NoProcess)?;
    find::check_directory(options.directory.as_deref()).map_err(Failure::NoProcess)?;
    let args = std::iter::once(&options.file).chain(&options.args);
    let variables = options.environment(depth + 1);
    let directory = options.directory.as_deref();
    let program = spawn::Program::new(&admitted.path, args, variables, directory)
        .map_err(|error| Failure::NoProcess(find::not_started(&path, &error)))?;
    let program = Arc::new(program);
    let spec = || Spec {
        start: {
            let program = Arc::clone(&program);
            Box::new(move || born(&program))
        },
        channel: None,
        lines: Arc::clone(&lines),
        copies: false,
    };
    let started = supervisor().and_then(|it| it.patiently(|| it.spawn(spec()), is_shortage));
    let child = started.map_err(|error| Failure::NoProcess(find::not_started(&path, &error)))?;
    Ok(Program {
        child,
        _held: admitted.held,
    })
}

/// Starts a program with nothing to read and a pipe for each of its two outputs.
fn born(program: &spawn::Program) -> io::Result<Born> {
    let (out, to_out) = pipe_with(PipeFlags::CLOEXEC)?;
    let (err, to_err) = pipe_with(PipeFlags::CLOEXEC)?;
    let pid = program.spawn([spawn::nothing()?, to_out, to_err])?;
    Ok(Born {
        pid,
        out: Some(out),
        err: Some(err),
    })
}

impl Program {
    pub(crate) fn handle(&self) -> &Handle {
        self.child.handle()
    }

    /// Waits until it has ended; all its lines have been handed over then.
    pub(crate) fn end(self) -> Result<(), Failure> {
        let exit = self.handle().wait(None).unwrap_or(Exit::Unknown);
        match exit.is_success() {
            // However it ended: a program may answer SIGTERM with code 0. One that had ended before was not stopped.
            _ if self.handle().was_stopped() => Err(Failure::Stopped),
            true => Ok(()),
            false => Err(Failure::Crashed(self.child.crash())),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Who takes the lines may hold a handle, which holds who takes the lines.
        self.child.set_lines(Arc::new(NoLines));
    }
}

impl ProgramOptions {
    /// A variable as the program will see it.
    fn variable(&self, name: &str) -> Option<OsString> {
        let given = self.variables.iter().rev().find(|it| it.0 == name);
        given.map_or_else(|| std::env::var_os(name), |it| Some(it.1.clone()))
    }

    /// All variables of the program, which is `depth` levels of jobs deep.
    fn environment(&self, depth: u32) -> BTreeMap<OsString, OsString> {
        let mut all: BTreeMap<_, _> = std::env::vars_os().collect();
        all.extend(self.variables.iter().cloned());
        all.insert(DEPTH_VARIABLE.into(), depth.to_string().into());
        // Of a worker that has not taken it away yet: a program of another kind is none.
        all.remove(OsStr::new(MARKER));
        let given = all.get(OsStr::new(policy::VARIABLE));
        if let Some(word) = policy::for_program(given.map(OsString::as_os_str)) {
            all.insert(policy::VARIABLE.into(), word.into());
        }
        all
    }
}
