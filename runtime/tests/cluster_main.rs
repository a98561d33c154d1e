//! A program with `#[runspace::main]` as a worker of a cluster: its `main` serves, and its own statements run only where it
//! is no worker. They are the test, so it has no harness.

#[cfg(target_os = "linux")]
mod support;

#[cfg(target_os = "linux")]
#[runspace::main]
fn main() {
    use support::within;

    println!("main of {}", std::process::id());
    within(120, || {
        let Some(server) = support::nats::Server::start() else {
            return;
        };
        for isolate in [false, true] {
            serves(&server, isolate);
        }
        println!("test a_program_that_serves_from_its_main ... ok");
    });
}

/// Nothing: there are no workers.
#[cfg(not(target_os = "linux"))]
fn main() {}

/// Runs items on a worker that is this program; with `isolate`, in processes beside it.
#[cfg(target_os = "linux")]
fn serves(server: &support::nats::Server, isolate: bool) {
    use runspace::foreach_parallel;

    let cluster = server.builder().isolate(isolate).connect().unwrap();
    let mut worker = server.worker(2);
    let (offset, own) = (10_u64, std::process::id());
    let results = foreach_parallel!(
        0..20_u64,
        on = cluster(&cluster),
        ordered = true,
        using(offset),
        |n| (n + offset, std::process::id())
    );
    let (numbers, places): (Vec<u64>, Vec<u32>) = results.unzip();
    assert!(numbers.iter().copied().eq(10..30));
    let in_worker = |pid: &u32| *pid == worker.pid();
    match isolate {
        false => assert!(places.iter().all(in_worker), "{places:?}"),
        true => assert!(!places.iter().any(|it| in_worker(it) || *it == own)),
    }
    assert!(worker.is_running(), "{}", worker.said());
    worker.term();
    assert_eq!(worker.wait(), Some(0), "{}", worker.said());
    let printed = worker.printed();
    assert!(
        !printed.contains("main of"),
        "a worker has run it: {printed}"
    );
}
