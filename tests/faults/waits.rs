//! Waits that close a ring, and stops that have far to go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::Duration;

use runspace::{
    Invocation, InvocationState, Job, JobState, Runspace, RunspacePool, Throttle, foreach_parallel,
    invoke, jobs, start_job, start_thread_job, stopping,
};

use crate::common::assert_has;
use crate::stage::{Row, process, threads};

pub const ROWS: &[Row] = &[
    Row {
        id: "C11",
        name: "cycle_of_waits",
        fault: "Items, jobs and invocations wait for each other, or for a pool, a runspace or a throttle that \
                one of them holds",
        outcome: "What can end does: places are lent along the chain. A ring is an error in words at the wait that \
                  closes it.",
        tests: &[
            threads(c11_lent),
            threads(c11_refused).named("threads_refused"),
            process(c11_process),
        ],
        elsewhere: "An item in a process or on a cluster waits for nothing of the program that sent it.",
    },
    Row {
        id: "C12",
        name: "stop_goes_down",
        fault: "A job is stopped whose items have started jobs, invocations and processes, in calls that have ended",
        outcome: "All of them are stopped. A job of an item hears the item's timeout as well.",
        tests: &[threads(c12_threads), process(c12_process)],
        elsewhere: "What the items of a pool start is started in its workers, and ends with them: A18.",
    },
];

fn c11_lent() {
    let pool = RunspacePool::builder().max(1).open().unwrap();
    let throttle = Throttle::shared(1);
    let captures = (pool.clone(), throttle.clone());
    let sum: u32 = foreach_parallel!(0..3u32, on = pool(&pool), using(captures), |n| {
        let captures = (captures.0.clone(), captures.1.clone());
        // An ordinary call, whose items come back to the pool, and need the throttle in a job.
        foreach_parallel!([n], throttle = &captures.1, using(captures), |n| {
            let (pool, throttle) = captures.clone();
            let back = invoke!(&pool, using(n), { n }).end().unwrap();
            let job = start_thread_job!(using(pool, throttle), {
                let call = foreach_parallel!(0..3u32, on = pool(&pool), |n| n).into_job();
                call.iter().sum::<u32>()
                    + foreach_parallel!(0..3u32, throttle = &throttle, |n| n).sum::<u32>()
            });
            back + job.join().unwrap()
        })
        .sum::<u32>()
    })
    .sum();
    assert_eq!(sum, 3 + 3 * 6);
    pool.close();
}

fn c11_refused() {
    let runspace = Runspace::builder().name("one").open().unwrap();
    let inside = runspace.clone();
    let outer = invoke!(&runspace, name = "outer", using(inside), {
        let job = start_thread_job!(name = "between", using(inside), {
            let inner = invoke!(&inside, name = "inner", { 1 });
            inner.end().map_err(|it| it.to_string())
        });
        let end = job.join().map_err(|it| it.to_string());
        end.and_then(|it| it).unwrap_err()
    });
    let text = outer.end().unwrap();
    assert_has(
        &text,
        &[
            "job `between`",
            "queued behind `outer` on runspace `one`",
            "this wait would never end",
        ],
    );
    // An item that waits for the job around its call.
    let told: Vec<String> = start_thread_job!(name = "whole", |job| {
        let told = foreach_parallel!([job.id()], |id| {
            let whole = jobs().get(id).unwrap().clone();
            let refused = catch_unwind(AssertUnwindSafe(|| whole.wait())).unwrap_err();
            *refused.downcast::<String>().unwrap()
        });
        told.for_each(|it| job.emit(it));
    })
    .iter()
    .collect();
    assert_has(&told[0], &["job `whole` waits for itself"]);
}

fn c11_process() {
    // The same within a process of its own.
    let job = start_job!({
        let pool = RunspacePool::builder().max(1).open().unwrap();
        let inside = pool.clone();
        foreach_parallel!(0..3u32, on = pool(&pool), using(inside), |n| {
            let inside = inside.clone();
            start_thread_job!(using(inside, n), {
                invoke!(&inside, using(n), { n }).end().unwrap()
            })
            .join()
            .unwrap()
        })
        .sum::<u32>()
    });
    assert_eq!(job.join().unwrap(), 3);
}

fn spin() {
    while !stopping() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What an item of a call makes that has ended by then.
fn left_behind<R: Send + 'static>(make: impl Fn() -> R + Send + Sync + 'static) -> R {
    let made: Vec<R> = foreach_parallel!([()], using(make), |()| make()).collect();
    made.into_iter().next().unwrap()
}

fn c12_threads() {
    let pool = RunspacePool::builder().max(1).open().unwrap();
    let (tell, told) = channel::<(Invocation<()>, Job<()>)>();
    let job = start_thread_job!(using(pool.clone(), tell), {
        let invocation = left_behind(move || invoke!(&pool, { spin() }));
        let inner = left_behind(|| left_behind(|| start_thread_job!({ spin() })));
        tell.send((invocation, inner)).unwrap();
        spin();
    });
    let (invocation, inner) = told.recv().unwrap();
    job.stop();
    assert_eq!(invocation.wait(), InvocationState::Stopped);
    assert_eq!(inner.wait(), JobState::Stopped);
    assert_eq!(job.wait(), JobState::Stopped);

    let (tell, told) = channel::<Job<()>>();
    let outcomes = foreach_parallel!(
        [()],
        timeout = Duration::from_millis(50),
        using(tell),
        |()| {
            tell.send(start_thread_job!({ spin() })).unwrap();
            spin();
        }
    )
    .outcomes();
    assert_eq!(outcomes.filter(Result::is_err).count(), 1);
    assert_eq!(told.recv().unwrap().wait(), JobState::Stopped);
}

fn c12_process() {
    let (tell, told) = channel::<(Job<()>, Job<String>)>();
    let job = start_thread_job!(using(tell), {
        let body = left_behind(|| start_job!({ spin() }));
        let file = left_behind(|| start_job!(file = "sleep", args = ["600"]));
        tell.send((body, file)).unwrap();
        spin();
    });
    let (body, file) = told.recv().unwrap();
    job.stop();
    assert_eq!(body.wait(), JobState::Stopped);
    assert_eq!(file.wait(), JobState::Stopped);
    assert_eq!(job.wait(), JobState::Stopped);
}
