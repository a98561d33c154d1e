//! Programs that are not this one: found, admitted by the policy, started, and seen to their end.
//!
//! A program is a child like a worker, without a channel: in a process group of its own, with
//! nothing on its standard input, its lines captured, always reaped. When it has ended, what it has
//! left in its group ends with it, and what is in its pipes then is all that is read: a grandchild
//! that keeps them open keeps nobody waiting.
//!
//! Unlike a worker it does not know of its parent, so it is not ended with it: a death signal has to
//! be asked for by the process that gets it, between its start and the program, where nothing of this
//! crate's runs (`pre_exec` would take the slow and dangerous way through `fork`).

mod find;
mod options;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::Failure;
use super::child::{Child, Exit, Handle, Lines, NoLines, Spec, supervisor};
use super::entry::{DEPTH_VARIABLE, depth};
use super::link::MOST_DEPTH;
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
    let mut command = Command::new(&admitted.path);
    command
        .arg0(&options.file)
        .args(&options.args)
        .envs(options.variables.iter().map(|(name, value)| (name, value)))
        .env(DEPTH_VARIABLE, (depth + 1).to_string())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let given = options.variable(policy::VARIABLE);
    if let Some(word) = policy::for_program(given.as_deref()) {
        command.env(policy::VARIABLE, word);
    }
    if let Some(directory) = &options.directory {
        command.current_dir(directory);
    }
    let spec = Spec {
        command,
        channel: None,
        lines,
    };
    let started = supervisor().and_then(|it| it.spawn(spec));
    let child = started.map_err(|error| Failure::NoProcess(find::not_started(&path, &error)))?;
    Ok(Program {
        child,
        _held: admitted.held,
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
            true => Ok(()),
            false if self.handle().was_stopped() => Err(Failure::Stopped),
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
}
