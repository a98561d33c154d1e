//! Ctrl-C: once to come to an end, twice to be ended.

pub(crate) mod flag;

use std::fmt::Write as _;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::foreach::roll;
use crate::job;
use crate::sync::Mutex;
use crate::threads;

/// What shells take a program to have ended with that SIGINT has ended.
const EXIT_CODE: i32 = 130;

/// How long threads that have nothing to run have to leave, before it is told how many still run: until two
/// looks in a row have seen the same, but not for longer than the second of these.
const TO_SETTLE: (Duration, u32) = (Duration::from_millis(50), 6);

/// How long something may take that could hang, when the program is to be ended.
const PATIENCE: Duration = Duration::from_millis(500);

/// Lets Ctrl-C end the program in good order, from now on.
///
/// * The first one starts nothing new. Items that run come to their end, in processes too, and their
///   results arrive; the items that do not run any more end as [stopped](crate::ItemError::is_stopped), so that the
///   results of each call end. That holds for each stage of a [`pipeline!`](crate::pipeline): what comes out of one
///   then is not begun by the next one, and ends there as stopped. So the end is never further away than the
///   longest item that runs. Jobs that wait in a queue are stopped. What still runs is told on stderr.
/// * The second one kills: all child processes and what they have started, by SIGKILL, then this
///   process, with exit code 130. Nothing is dropped and no destructor runs.
///
/// After the first, `main` goes on where it reads the results, and ends the program with what exit
/// code it likes: [`interrupted`] says whether all that it has read is all that there is. Calls and jobs
/// that it makes from then on start nothing either. Parallel calls and jobs inside of an item or a job are part of
/// it: they go on until it has ended. So do invocations of runspaces.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use runspace::foreach_parallel;
///
/// fn main() -> ExitCode {
///     runspace::ctrl_c().expect("a thread that waits for Ctrl-C");
///     let done = foreach_parallel!(0..1000, |n| println!("{n}")).count();
///     println!("{done} of 1000");
///     if runspace::interrupted() { ExitCode::from(130) } else { ExitCode::SUCCESS }
/// }
/// ```
///
/// Calling it again is harmless. It does nothing in a process that runs items or jobs for another, so it may stand in a
/// constructor; nor where SIGINT is ignored already, as in a program that a script has put in the background. The terminal
/// sends the signal to this process alone: child processes are in process groups of their own.
///
/// A handler for SIGINT that was there before is called as well. A process that is made of this one
/// by `fork` does not react to Ctrl-C.
///
/// # Errors
/// The system gives no thread to wait for the signal, or does not let it be caught.
pub fn ctrl_c() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    if is_worker() || is_ignored() {
        return Ok(());
    }
    let mut installed = INSTALLED.lock();
    if *installed {
        return Ok(());
    }
    // The thread first: from then on somebody has to react.
    let (send, receive) = mpsc::channel::<Signals>();
    let builder = thread::Builder::new().name("runspace-ctrl-c".to_owned());
    builder.spawn(move || {
        if let Ok(signals) = receive.recv() {
            listen(signals);
        }
    })?;
    let _ = send.send(Signals::new([SIGINT])?);
    *installed = true;
    Ok(())
}

/// Whether Ctrl-C was pressed since [`ctrl_c`].
///
/// ```
/// assert!(!runspace::interrupted());
/// ```
#[must_use]
pub fn interrupted() -> bool {
    flag::is_set()
}

fn is_worker() -> bool {
    #[cfg(feature = "process")]
    return crate::process::entry::depth() > 0;
    #[cfg(not(feature = "process"))]
    return false;
}

/// Whether this process was started to hear nothing of it.
fn is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (SIGINT - 1)) != 0)
}

fn listen(mut signals: Signals) {
    for _ in signals.forever() {
        if flag::is_set() {
            kill();
        }
        flag::set();
        // Elsewhere, for a destructor or a terminal may hang, and the next signal must be heard.
        if threads::spawn(Box::new(come_to_an_end)).is_err() {
            come_to_an_end();
        }
    }
}

fn come_to_an_end() {
    roll::close_all();
    job::stop_queued();
    print(settled());
}

/// What runs still, when those have left who have nothing to run.
fn settled() -> String {
    let (pause, most) = TO_SETTLE;
    let mut before = summary();
    for _ in 0..most {
        thread::sleep(pause);
        let now = summary();
        if now == before {
            break;
        }
        before = now;
    }
    before
}

fn summary() -> String {
    let calls: Vec<_> = roll::running().into_iter().filter(|it| it.1 > 0).collect();
    let items: usize = calls.iter().map(|it| it.1).sum();
    let jobs = job::running();
    let running = items + jobs.len();
    let mut text =
        format!("runspace: stopping: no new items; {running} running; press Ctrl-C again to kill");
    for (call, count) in calls {
        let items = if count == 1 { "item" } else { "items" };
        let _ = write!(text, "\n  {count} {items} of {call}");
    }
    for job in jobs {
        let _ = write!(text, "\n  the job `{job}`");
    }
    text
}

/// Ends everything. Whatever hangs is left behind.
fn kill() -> ! {
    bounded(|| {
        #[cfg(feature = "progress")]
        let _withdrawn = crate::progress::withdraw();
        print("runspace: killed");
    });
    // Nothing is told to stop, and no end is waited for: who waits for a child or a call would go on with the
    // program, to another exit code than this one.
    #[cfg(feature = "process")]
    crate::process::child::kill_all();
    signal_hook::low_level::exit(EXIT_CODE)
}

fn bounded(task: impl FnOnce() + Send + 'static) {
    let (done, waiting) = mpsc::channel();
    let task = move || {
        task();
        let _ = done.send(());
    };
    if threads::spawn(Box::new(task)).is_ok() {
        let _ = waiting.recv_timeout(PATIENCE);
    }
}

fn print(text: impl std::fmt::Display) {
    #[cfg(feature = "progress")]
    crate::progress::eprintln(text);
    // Where nobody reads there is nobody to tell.
    #[cfg(not(feature = "progress"))]
    let _ = io::Write::write_all(&mut io::stderr(), format!("{text}\n").as_bytes());
}
