//! External programs as jobs: what `start_job!(file = ..)` expands to.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::JobErrorKind;
use super::feed::{Recorder, fed_on, pump};
use super::handle::Job;
use super::in_process::OnProcess;
use super::record::Level;
use crate::process::child::{GOES_ON, LONGEST, Lines, Patience, Stream, supervisor};
use crate::process::program::{self, ProgramOptions};
use crate::process::{Failure, ProcessError};
use crate::stop::StopToken;

/// Starts a program as a job of the lines that it writes to stdout. What `start_job!(file = ..)` expands
/// to.
///
/// The program is started when this returns, or the job has failed with the reason: the
/// [policy](crate::policy), which is asked first, a program or directory that is not there. It has the
/// environment and the working directory that this process has at the call, with the changes in
/// `options`, nothing on its stdin, and a process group of its own.
///
/// Outputs are the lines of stdout as they come, without their ends; the last one needs none. Bytes that
/// are not UTF-8 become U+FFFD. A line longer than a mebibyte comes in pieces, with a record that says so: each is cut
/// between two characters, and all but the last end in ` (line goes on)`, so that a reader can join them. Lines of
/// stderr are records of level [`Level::Warning`]. Like those of any job, outputs are kept as long as
/// somebody holds the job; a program is never held back because nobody reads.
///
/// The job is Completed if the program ends with code 0. Otherwise it is Failed with
/// [`JobErrorKind::Process`], whose [`crash`](ProcessError::crash) has the code or the name of the signal,
/// the process id and the last lines of stderr. The job ends with its program: what that
/// has left running in its process group ends too, and a daemon, which has left the group, goes on but holds
/// nothing up, even if it keeps stdout open.
///
/// A stop is real: SIGTERM, `grace`, SIGKILL, to the whole group; so are suspend and resume.
///
/// If this process ends before the program, by SIGKILL even, the system kills the program. It does not kill
/// what the program has started: of `sh -c "sort | uniq"` the shell goes, and the two others go on
/// until they read or write a closed pipe. Nor does it kill a program that gains rights as it starts
/// (set-user-ID, file capabilities), or one that has asked to be let live.
#[track_caller]
pub fn program_job(options: ProgramOptions) -> Job<String> {
    let source = Location::caller();
    let (name, timeout, grace) = options.for_job();
    let patience = Patience {
        terminated: grace.unwrap_or(Patience::DEFAULT.terminated),
        ..Patience::DEFAULT
    };
    let stop = StopToken::child_of_current();
    #[cfg(feature = "ctrl_c")]
    crate::interrupt::flag::stop_if_late(&stop);
    let backend = OnProcess::new(patience, &stop);
    let shared = Box::new(Arc::clone(&backend));
    let (job, feeder) = fed_on(shared, name, source, "start_job!", stop.clone());
    if stop.is_stopping() {
        feeder.finish(Err(JobErrorKind::Stopped));
        return job;
    }
    let lines = Arc::new(ToOutputs {
        port: feeder.recorder(),
        has_told: AtomicBool::new(false),
    });
    let program = match program::start(&options, job.name(), lines) {
        Ok(program) => program,
        Err(failure) => {
            feeder.finish(Err(JobErrorKind::Process(ProcessError::new(failure))));
            return job;
        }
    };
    feeder.in_process(program.handle().pid());
    backend.set(program.handle());
    if let Some(limit) = timeout
        && let Ok(supervisor) = supervisor()
    {
        backend.end_after(limit, program.handle(), &supervisor);
    }
    pump(feeder, move |feeder| {
        let end = match (program.end(), timeout) {
            (_, Some(limit)) if backend.has_timed_out() => Err(Failure::TimedOut(limit)),
            (end, _) => end,
        };
        feeder.finish(end.map_err(|failure| match failure {
            Failure::Stopped => JobErrorKind::Stopped,
            failure => JobErrorKind::Process(ProcessError::new(failure)),
        }));
    });
    job
}

/// What a program prints, as outputs and records of its job.
struct ToOutputs {
    port: Recorder<String>,
    has_told: AtomicBool,
}

impl Lines for ToOutputs {
    fn line(&self, stream: Stream, line: String) {
        let is_piece = line.len() >= LONGEST && line.ends_with(GOES_ON);
        match stream {
            Stream::Out => self.port.output(line),
            Stream::Err => self.port.record(Level::Warning, line),
        }
        if is_piece && !self.has_told.swap(true, Ordering::Relaxed) {
            let stream = match stream {
                Stream::Out => "stdout",
                Stream::Err => "stderr",
            };
            let text = format!(
                "the program writes lines to {stream} that are longer than {LONGEST} bytes: such \
                 a line comes in pieces, all but the last of which end in `{GOES_ON}`"
            );
            self.port.record(Level::Warning, text);
        }
    }
}
