//! Jobs in processes of their own: started, listed, received from, suspended, stopped.
//!
//! ```text
//! $ cargo run --release --example jobs
//! Id  Name    State      HasMoreData  Location                               Command
//! --  ----    -----      -----------  --------                               -------
//! 1   primes  Running    True         examples/jobs.rs:45:17 (process 3683)  start_job! at examples/jobs.rs:45
//! 2   clock   Running    True         examples/jobs.rs:53:17 (process 3680)  start_job! at examples/jobs.rs:53
//! 3   crash   Failed     False        examples/jobs.rs:59:26 (process 3681)  start_job! at examples/jobs.rs:59
//! 4   thread  Completed  True         examples/jobs.rs:63:18 (thread 6)      start_thread_job! at examples/jobs.rs:63
//!
//! clock so far: 10 ticks
//! clock while Suspended: 0 ticks
//! clock: Stopped
//! crash: its process (pid 3681) was killed by SIGABRT; its last lines on stderr:
//!     this will not go well
//! primes on the way: [2, 48619, 104743, 163847]
//!   INFORMATION: 0 found, the last is 2
//!   INFORMATION: 5000 found, the last is 48619
//!   INFORMATION: 10000 found, the last is 104743
//!   INFORMATION: 15000 found, the last is 163847
//! primes below 1000: 168
//! Id  Name    State      HasMoreData  Location                               Command
//! --  ----    -----      -----------  --------                               -------
//! 1   primes  Completed  False        examples/jobs.rs:45:17 (process 3683)  start_job! at examples/jobs.rs:45
//! 2   clock   Stopped    True         examples/jobs.rs:53:17 (process 3680)  start_job! at examples/jobs.rs:53
//! ```
//!
//! A block that is started with `start_job!` runs in a fresh process of this very program: it can
//! crash, leak or be killed, and all that is lost is its own work.

use std::thread::sleep;
use std::time::Duration;

use runspace::{Job, JobErrorKind, jobs, start_job, start_thread_job, wait_all};

/// The primes below `limit`, the slow way.
fn primes(limit: u32) -> impl Iterator<Item = u32> {
    (2..limit).filter(|n| (2..*n).take_while(|it| it * it <= *n).all(|it| n % it != 0))
}

fn main() {
    // Start: captured values travel to the process, outputs come back while it runs.
    let limit = 200_000;
    let count = start_job!(name = "primes", using(limit), |job| {
        for (index, prime) in primes(limit).enumerate() {
            if index % 5000 == 0 {
                job.information(format!("{index} found, the last is {prime}"));
                job.emit(prime);
            }
        }
    });
    let clock = start_job!(name = "clock", |job| {
        for tick in 0_u32.. {
            job.emit(tick);
            sleep(Duration::from_millis(10));
        }
    });
    let crash: Job<()> = start_job!(name = "crash", {
        eprintln!("this will not go well");
        std::process::abort()
    });
    let thread = start_thread_job!(name = "thread", { primes(1000).count() });

    // List.
    sleep(Duration::from_millis(100));
    println!("{}", jobs());

    // Receive what is there now, and more later.
    println!("clock so far: {} ticks", clock.receive().len());

    // Suspend holds the process where it is; resume lets it go on.
    clock.suspend().expect("the clock runs");
    clock.receive();
    sleep(Duration::from_millis(100));
    println!(
        "clock while {}: {} ticks",
        clock.state(),
        clock.receive().len()
    );
    clock.resume().expect("the clock was suspended");

    // Stop is real: the body never looks whether it should go on.
    clock.stop();
    println!("clock: {}", clock.wait());

    // A crash is that job's, with its name and its last words.
    let error = crash.join().expect_err("it aborts");
    if let JobErrorKind::Process(process) = error.kind() {
        println!("crash: {process}");
    }

    // Wait for the others, and take what they have.
    wait_all([&count as &dyn runspace::AnyJob, &thread]);
    println!("primes on the way: {:?}", count.receive());
    for record in count.records() {
        println!("  {record}");
    }
    println!("primes below 1000: {}", thread.join().expect("a number"));
    println!("{}", jobs());
}
