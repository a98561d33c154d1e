//! A program that is built with `panic = "abort"`: what `surroundings.rs` builds and runs.

use std::time::Duration;

use runspace::{Cause, JobError, JobErrorKind, JobState, foreach_parallel, start_job};

/// Says of a crash what a user needs to know of it.
fn told(error: &JobError) -> String {
    let JobErrorKind::Process(process) = error.kind() else {
        panic!("{error}")
    };
    let crash = process.crash().unwrap();
    assert!(error.to_string().contains(&format!("pid {}", crash.pid())));
    format!("{:?} {:?}", crash.exit().signal_name(), crash.stderr())
}

fn main() {
    assert!(cfg!(panic = "abort"));
    let abort = Some("SIGABRT");

    // A job that panics, and jobs after it.
    for _ in 0..2 {
        let job = start_job!(using(word = "badly".to_owned()), { panic!("ends {word}") });
        let error = job.join().map(|()| ()).unwrap_err();
        let text = told(&error);
        assert!(
            text.contains("SIGABRT") && text.contains("ends badly"),
            "{text}"
        );
        assert_eq!(start_job!({ 6 * 7 }).join().unwrap(), 42);
    }

    // Items that panic, each at its own cost.
    let mut failed = Vec::new();
    let mut good = 0;
    let call = foreach_parallel!(0..100_u64, on = process, throttle = 2, |n| {
        assert!(n % 25 != 7, "not {n}");
        n
    });
    for outcome in call.outcomes() {
        match outcome {
            Ok(_) => good += 1,
            Err(error) => {
                let index = error.index().unwrap();
                let Cause::Process(process) = error.cause() else {
                    panic!("{error}")
                };
                let crash = process.crash().unwrap();
                assert_eq!(crash.exit().signal_name(), abort);
                assert!(
                    error.to_string().contains(&format!("not {index}")),
                    "{error}"
                );
                failed.push(index);
            }
        }
    }
    failed.sort_unstable();
    assert_eq!((good, &failed[..]), (96, &[7, 32, 57, 82][..]));

    // An item that is tried again, and one that emits and then panics.
    let call = foreach_parallel!(0..4_u32, on = process, throttle = 2, retry = 1, |n| {
        assert!(n != 2 || runspace::attempt() > 1);
        n
    });
    assert_eq!(call.sum::<u32>(), 6);
    let call = foreach_parallel!(0..3_u32, on = process, throttle = 1, |n, item| {
        item.emit(n);
        assert!(n != 1);
    });
    let (values, errors): (Vec<_>, Vec<_>) = call.outcomes().partition(Result::is_ok);
    assert_eq!((values.len(), errors.len()), (3, 1));

    // A stop cannot unwind out of a body that emits; it is real all the same.
    let job = start_job!(grace = Duration::from_millis(100), |job| {
        loop {
            job.emit(1);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(job.iter().next(), Some(1));
    job.stop();
    assert_eq!(job.wait(), JobState::Stopped);
    let mut call = foreach_parallel!(0_u64.., on = process, |n, item| {
        loop {
            item.emit(n);
        }
    });
    assert!(call.next().is_some());
    drop(call);
    println!("aborts cost what they should");
}
