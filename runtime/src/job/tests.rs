use std::panic::Location;
use std::sync::mpsc;
use std::time::Duration;

use super::feed::{Feeder, fed};
use super::*;
use crate::error::{Cause, ItemError, PanicPayload};
use crate::values::made;

const LIMIT: Duration = Duration::from_secs(30);

#[track_caller]
fn feed<T>(name: &str) -> (Job<T>, Feeder<T>, StopToken) {
    let stop = StopToken::new();
    let (job, feeder) = fed(
        Some(name.into()),
        Location::caller(),
        "foreach_parallel!",
        stop.clone(),
    );
    (job, feeder, stop)
}

#[test]
fn a_job_can_be_shared_between_threads() {
    fn check<J: Send + Sync>() {}
    check::<Job<std::cell::Cell<u8>>>();
    check::<JobEntry>();
    check::<JobTable>();
    check::<JobQueue>();
    check::<JobError>();
    check::<RemoveError<std::cell::Cell<u8>>>();
}

#[test]
fn what_is_fed_in_comes_out() {
    let (job, feeder, _) = feed("call");
    assert_eq!(job.state(), JobState::Running);
    assert!(job.started().is_some());
    assert!(
        job.command().starts_with("foreach_parallel! at "),
        "{}",
        job.command()
    );
    assert_eq!(job.location().thread(), None);
    feeder.output(1);
    assert!(job.has_more_data());
    feeder.record(Level::Warning, "careful");
    feeder.output(2);
    feeder.finish(Ok(()));
    assert_eq!(job.wait_timeout(LIMIT), Some(JobState::Completed));
    assert_eq!(job.iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(job.records()[0].text, "careful");
}

#[test]
fn a_stop_reaches_what_feeds() {
    let (job, feeder, stop) = feed::<i32>("call");
    job.stop();
    assert!(stop.is_stopping());
    assert_eq!(job.state(), JobState::Stopping);
    feeder.output(1);
    let end = feeder.end_without_failure(false);
    feeder.finish(end);
    assert_eq!(job.state(), JobState::Stopped);
    assert_eq!(job.receive(), [1]);
}

#[test]
fn a_stop_that_comes_after_the_work_is_done_changes_nothing() {
    let (job, feeder, _) = feed::<i32>("call");
    feeder.output(1);
    job.stop();
    let end = feeder.end_without_failure(true);
    feeder.finish(end);
    assert_eq!(job.state(), JobState::Completed);
    assert_eq!(job.receive(), [1]);
}

#[test]
fn a_feeder_that_goes_without_a_word_ends_the_job() {
    let (job, feeder, _) = feed::<i32>("call");
    drop(feeder);
    assert_eq!(job.state(), JobState::Stopped);
    assert!(job.join().unwrap_err().is_stopped());
}

#[test]
fn the_error_of_a_failed_item_is_the_error_of_the_job() {
    let (job, feeder, _) = feed::<i32>("call");
    let site = crate::error::CallSite {
        location: Location::caller(),
        name: None,
    };
    let cause = Cause::Panicked(PanicPayload::new(Box::new("bad item")));
    let error = ItemError::new(Some(3), cause, site);
    feeder.finish(Err(JobErrorKind::Item(error)));
    assert_eq!(job.state(), JobState::Failed);
    assert!(
        job.records()[0].text.contains("item 3"),
        "{:?}",
        job.records()
    );
    let error = job.join().unwrap_err();
    assert!(error.to_string().ends_with("panicked: bad item"), "{error}");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| error.resume()));
    assert_eq!(
        caught.unwrap_err().downcast_ref::<&str>(),
        Some(&"bad item")
    );
}

#[test]
fn a_fed_job_that_nobody_holds_leaves_the_table_when_it_ends() {
    let (job, feeder, _) = feed::<i32>("call");
    let id = job.id();
    drop(job);
    assert!(jobs().get(id).is_some());
    feeder.output(1);
    feeder.finish(Ok(()));
    assert!(jobs().get(id).is_none());
}

/// A job that waits for a call lends its place to the jobs that the items of the call wait for,
/// when these run for the call's job.
#[test]
fn places_are_lent_through_a_fed_job() {
    let queue = JobQueue::new(1);
    let (call, feeder, _) = feed::<i32>("call");
    let call = Arc::new(call);
    let inside = Arc::clone(&call);
    let (tx, rx) = mpsc::channel();
    let options = || JobOptions::new().queue(&queue);
    let outer = thread_job(
        options(),
        (inside, (tx, ())),
        |(inside, (tx, ()))| {
            tx.send(()).unwrap();
            inside.wait()
        },
        made(),
    );
    rx.recv_timeout(LIMIT).unwrap();
    let inner = thread_job(options(), (), |()| 7, made());
    assert_eq!(inner.state(), JobState::NotStarted);
    let entered = surroundings::enter(call.port.core.context());
    feeder.output(inner.join().unwrap());
    drop(entered);
    feeder.finish(Ok(()));
    assert_eq!(outer.join().unwrap(), JobState::Completed);
    assert_eq!(call.receive(), [7]);
}

#[cfg(feature = "process")]
#[test]
fn a_process_that_is_not_there_yet_cannot_be_held() {
    use super::in_process::OnProcess;
    use crate::process::child::Patience;

    let backend = OnProcess::new(Patience::DEFAULT, &StopToken::new());
    for (refused, done) in [
        (backend::Backend::suspend(&backend), "suspended"),
        (backend::Backend::resume(&backend), "resumed"),
    ] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(&format!("cannot be {done}")), "{text}");
        assert!(text.contains("has not started yet"), "{text}");
    }
}

#[test]
fn what_feeds_a_job_and_panics_ends_it_in_words() {
    let (job, feeder, _) = feed::<u8>("call");
    feed::pump(feeder, |feeder| {
        feeder.output(1);
        panic!("the pump broke");
    });
    assert_eq!(job.wait_timeout(LIMIT), Some(JobState::Failed));
    assert_eq!(job.receive(), [1]);
    let error = job.join().unwrap_err();
    assert!(error.to_string().contains("the pump broke"), "{error}");
    let (job, feeder, _) = feed::<u8>("dropped");
    drop(feeder);
    assert_eq!(job.wait_timeout(LIMIT), Some(JobState::Stopped));
}
