//! The threading story of PowerShell, told again in Rust, snippet by snippet.
//!
//! ```text
//! $ cargo run --release --example tour
//! == A background job
//! elsewhere is Completed
//! another process: true
//!
//! == Five jobs, waited for and received
//! [Completed, Completed, Completed, Completed, Completed]
//! Id  Name      State      HasMoreData  Location                                Command
//! --  ----      -----      -----------  --------                                -------
//! 2   square 1  Completed  True         examples/tour.rs:127:18 (process 3745)  start_job! at examples/tour.rs:127
//! 3   square 2  Completed  True         examples/tour.rs:127:18 (process 3747)  start_job! at examples/tour.rs:127
//! 4   square 3  Completed  True         examples/tour.rs:127:18 (process 3748)  start_job! at examples/tour.rs:127
//! 5   square 4  Completed  True         examples/tour.rs:127:18 (process 3753)  start_job! at examples/tour.rs:127
//! 6   square 5  Completed  True         examples/tour.rs:127:18 (process 3751)  start_job! at examples/tour.rs:127
//! received [1, 4, 9, 16, 25], and now []
//!
//! == A file job
//! line 1 of a program
//! line 2 of a program
//! line 3 of a program
//! WARNING: careful
//! report is Completed
//!
//! == A policy that refuses, and three ways on
//! job `block` (examples/tour.rs:165:23) cannot start: the policy of this process is ..
//! 1. a thread job: Some(27)
//! 2. a parallel loop on threads: [27]
//! 3. an approved function: Some(27)
//! here the policy is still Allow
//!
//! == Thread jobs, two at a time
//! a here: true
//! b here: true
//! c here: true
//! d here: true
//! four of them took the time of two or more: true
//!
//! == A throttled loop
//! 9 items, the sum is 45, at most 3 at once
//!
//! == Passing variables
//! Hello, Ada, on a thread
//! Hello, Grace, on a thread
//! Hello, Ada, in a process
//!
//! == One runspace, invoked asynchronously
//! meanwhile: finished is false
//! first
//! first and second
//!
//! == A pool of one to four runspaces
//! call  1 ran on ThreadId(10)
//! call  2 ran on ThreadId(11)
//! call  3 ran on ThreadId(12)
//! call  4 ran on ThreadId(13)
//! call  5 ran on ThreadId(10)
//! call  6 ran on ThreadId(11)
//! call  7 ran on ThreadId(12)
//! call  8 ran on ThreadId(13)
//! call  9 ran on ThreadId(10)
//! call 10 ran on ThreadId(12)
//! 10 calls, 4 threads
//!
//! == A shared bag
//! 14 multiples of 7, from Some(7) to Some(98)
//!
//! == Which one to take
//! approach                         isolation              cost each  best for
//! start_job!                       process                 853.4 us  work that may crash, leak or never end
//! foreach_parallel!, on = process  worker process           21.7 us  many items that may crash
//! start_thread_job!                none                      7.4 us  one thing in the background
//! foreach_parallel!                none                      0.2 us  many items that wait: files, network
//! foreach_parallel!, on = rayon    none                      0.2 us  many items that compute
//! invoke!, Runspace                own thread and state     79.9 us  state that stays on one thread
//! invoke!, RunspacePool            own thread and state      8.5 us  calls of many origins, few threads
//! ```

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use runspace::collections::Bag;
use runspace::policy::{self, Policy};
use runspace::{
    JobQueue, ProcessPool, Runspace, RunspacePool, foreach_parallel, invoke, jobs, start_job,
    start_thread_job, wait_all,
};

fn main() {
    background_job();
    five_jobs();
    file_job();
    policy_and_its_workarounds();
    thread_jobs();
    throttled_loop();
    passing_variables();
    one_runspace();
    runspace_pool();
    shared_bag();
    table_of_approaches();
}

fn title(text: &str) {
    println!("\n== {text}");
}

const MOMENT: Duration = Duration::from_millis(50);

/// `Start-Job { .. }`: a process of its own, while this one goes on.
fn background_job() {
    title("A background job");
    let job = start_job!(name = "elsewhere", { std::process::id() });
    println!("{} is {}", job.name(), job.wait());
    let there = job.join().expect("the number of a process");
    println!("another process: {}", there != std::process::id());
}

/// `1..5 | % { Start-Job { .. } } | Wait-Job | Receive-Job`
fn five_jobs() {
    title("Five jobs, waited for and received");
    let all: Vec<_> = (1..=5_u64)
        .map(|n| start_job!(name = format!("square {n}"), using(n), { n * n }))
        .collect();
    println!("{:?}", wait_all(&all));
    print!("{}", jobs());
    let squares: Vec<u64> = all.iter().flat_map(|job| job.receive()).collect();
    println!("received {squares:?}, and now {:?}", all[0].receive());
}

/// `Start-Job -FilePath ./report.sh -ArgumentList 3`: any program, line by line.
fn file_job() {
    title("A file job");
    let job = start_job!(
        name = "report",
        file = "/bin/sh",
        args = [
            "-c",
            "for n in 1 2 3; do echo line $n of $1; done; echo careful >&2",
            "sh",
            "a program"
        ]
    );
    job.iter().for_each(|line| println!("{line}"));
    job.records().iter().for_each(|record| println!("{record}"));
    println!("{} is {}", job.name(), job.wait());
}

/// A function that can be approved, because it has a name.
#[runspace::job]
fn cube(n: u64) -> u64 {
    n.pow(3)
}

/// What a restricted language mode does to `Start-Job`, and what still works.
fn policy_and_its_workarounds() {
    title("A policy that refuses, and three ways on");
    // A policy is only ever tightened, so this scene has a process of its own.
    let scene = start_job!(|scene| {
        policy::set(Policy::ApprovedOnly).expect("nothing stricter holds");
        let refused = start_job!(name = "block", { cube(3) })
            .join()
            .expect_err("a block has no name");
        scene.emit(refused.to_string());

        let on_a_thread = start_thread_job!({ cube(3) });
        scene.emit(format!("1. a thread job: {:?}", on_a_thread.join().ok()));

        let in_a_loop = foreach_parallel!([3], on = thread, |n| cube(n));
        scene.emit(format!(
            "2. a parallel loop on threads: {:?}",
            in_a_loop.collect::<Vec<_>>()
        ));

        policy::approve_job("tour::cube").expect("one function has this name");
        let by_name = start_job!(cube(3));
        scene.emit(format!(
            "3. an approved function: {:?}",
            by_name.join().ok()
        ));
    });
    scene.iter().for_each(|line| println!("{line}"));
    println!("here the policy is still {}", policy::current());
}

/// `Start-ThreadJob { .. } -ThrottleLimit 2`: the same jobs, in this process.
fn thread_jobs() {
    title("Thread jobs, two at a time");
    let queue = JobQueue::new(2);
    let start = Instant::now();
    let all: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|name| {
            start_thread_job!(name = name, queue = &queue, using(name), {
                sleep(MOMENT);
                format!("{name} in process {}", std::process::id())
            })
        })
        .collect();
    let here = format!(" in process {}", std::process::id());
    for job in all {
        let text = job.join().expect("a name and a number");
        println!("{} here: {}", &text[..1], text.ends_with(&here));
    }
    println!(
        "four of them took the time of two or more: {}",
        start.elapsed() >= 2 * MOMENT
    );
}

/// `1..9 | ForEach-Object -Parallel { .. } -ThrottleLimit 3`
fn throttled_loop() {
    title("A throttled loop");
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let sum: u64 = foreach_parallel!(1..=9_u64, throttle = 3, using(&now, &most), |n| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(MOMENT);
        now.fetch_sub(1, Ordering::SeqCst);
        n
    })
    .sum();
    println!(
        "9 items, the sum is {sum}, at most {} at once",
        most.into_inner()
    );
}

/// `$using:greeting`
fn passing_variables() {
    title("Passing variables");
    let greeting = String::from("Hello");
    let names = ["Ada", "Grace"];
    for text in foreach_parallel!(
        names,
        ordered = true,
        using(greeting.clone()),
        |name| format!("{greeting}, {name}, on a thread")
    ) {
        println!("{text}");
    }
    let text = start_job!(using(greeting, name = names[0].to_owned()), {
        format!("{greeting}, {name}, in a process")
    });
    println!("{}", text.join().expect("a greeting"));
}

/// `[powershell]::Create()`, `BeginInvoke()` and `EndInvoke()`
fn one_runspace() {
    title("One runspace, invoked asynchronously");
    let runspace = Runspace::open().expect("a thread");
    let calls = ["first", "second"].map(|word| {
        invoke!(&runspace, using(word), |rs| {
            sleep(MOMENT);
            rs.state::<Vec<&str>>().push(word);
            rs.state::<Vec<&str>>().join(" and ")
        })
    });
    println!("meanwhile: finished is {}", calls[1].is_finished());
    for call in calls {
        println!("{}", call.end().expect("what it has so far"));
    }
}

/// `[runspacefactory]::CreateRunspacePool(1, 4)`
fn runspace_pool() {
    title("A pool of one to four runspaces");
    let pool = RunspacePool::builder()
        .min(1)
        .max(4)
        .open()
        .expect("a thread");
    let calls: Vec<_> = (1..=10)
        .map(|n| {
            invoke!(&pool, using(n), {
                sleep(MOMENT);
                (n, thread::current().id())
            })
        })
        .collect();
    let mut threads = Vec::new();
    for call in calls {
        let (n, id) = call.end().expect("a number and a thread");
        println!("call {n:>2} ran on {id:?}");
        threads.push(id);
    }
    let distinct: std::collections::HashSet<_> = threads.iter().collect();
    println!("{} calls, {} threads", threads.len(), distinct.len());
}

/// `[System.Collections.Concurrent.ConcurrentBag[object]]`, written to from a parallel loop
fn shared_bag() {
    title("A shared bag");
    let bag = Bag::new();
    foreach_parallel!(1..=100_u32, throttle = 4, using(&bag), |n| {
        if n % 7 == 0 {
            bag.add(n);
        }
    });
    let found: BTreeSet<u32> = bag.into_vec().into_iter().collect();
    println!(
        "{} multiples of 7, from {:?} to {:?}",
        found.len(),
        found.first(),
        found.last()
    );
}

/// What each of them costs: the time from the call to the result of an empty body, one after another.
fn table_of_approaches() {
    title("Which one to take");
    let workers = ProcessPool::builder().workers(1).build();
    let runspace = Runspace::open().expect("a thread");
    let pool = RunspacePool::builder()
        .min(1)
        .max(4)
        .open()
        .expect("a thread");
    let items = 2000;

    let rows = [
        (
            "start_job!",
            "process",
            each(20, || start_job!({ 1 }).join()),
            "work that may crash, leak or never end",
        ),
        (
            "foreach_parallel!, on = process",
            "worker process",
            each(1, || {
                foreach_parallel!(0..items, on = process(&workers), |n| n).count()
            }) / items,
            "many items that may crash",
        ),
        (
            "start_thread_job!",
            "none",
            each(500, || start_thread_job!({ 1 }).join()),
            "one thing in the background",
        ),
        (
            "foreach_parallel!",
            "none",
            each(1, || foreach_parallel!(0..items, |n| n).count()) / items,
            "many items that wait: files, network",
        ),
        (
            "foreach_parallel!, on = rayon",
            "none",
            each(1, || foreach_parallel!(0..items, on = rayon, |n| n).count()) / items,
            "many items that compute",
        ),
        (
            "invoke!, Runspace",
            "own thread and state",
            each(500, || invoke!(&runspace, { 1 }).end()),
            "state that stays on one thread",
        ),
        (
            "invoke!, RunspacePool",
            "own thread and state",
            each(500, || invoke!(&pool, { 1 }).end()),
            "calls of many origins, few threads",
        ),
    ];
    println!(
        "{:<32} {:<21} {:>10}  best for",
        "approach", "isolation", "cost each"
    );
    for (approach, isolation, cost, best) in rows {
        let micros = cost.as_secs_f64() * 1e6;
        println!("{approach:<32} {isolation:<21} {micros:>7.1} us  {best}");
    }
}

/// The mean time of a call, after one to get ready.
fn each<T>(times: u32, call: impl Fn() -> T) -> Duration {
    black_box(call());
    let start = Instant::now();
    (0..times).for_each(|_| drop(black_box(call())));
    start.elapsed() / times
}
