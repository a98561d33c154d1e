//! A parallel call that goes on as a job.

use super::error::JobErrorKind;
use super::feed::{Feeder, fed, pump};
use super::handle::Job;
use super::record::Level;
use crate::context;
use crate::error::ItemError;
use crate::foreach::Results;

impl<R: Send + 'static> Results<R> {
    /// Lets the call go on in the background, as a job in the table, and answers its handle:
    /// PowerShell's `ForEach-Object -Parallel -AsJob`.
    ///
    /// The job keeps the results until they are received, so they are no longer bounded by the call's
    /// `buffer`. An item that fails leaves an error among the job's records and fails the job, with the
    /// first failure, after all items have run. Stopping the job stops the call. It stands in no
    /// queue: what limits it is its own `throttle`.
    ///
    /// ```
    /// use runspace::foreach_parallel;
    ///
    /// let job = foreach_parallel!(1..=3, throttle = 2, ordered = true, |n: u32| n * n).into_job();
    /// job.wait();
    /// assert_eq!(job.receive(), [1, 4, 9]);
    /// ```
    #[must_use = "a job runs on when its handle is dropped, but nobody can receive its results"]
    pub fn into_job(self) -> Job<R> {
        let site = self.site().clone();
        let stop = self.stop_token();
        let (job, feeder) = fed(site.name, site.location, "foreach_parallel!", stop);
        // The items are the job's now, and those who made the call need not wait for them.
        self.hand_on(feeder.context().frame);
        pump(feeder, move |feeder| feed(self, feeder));
        job
    }
}

fn feed<R>(results: Results<R>, feeder: Feeder<R>) {
    let _entered = context::enter(feeder.context());
    let mut first: Option<ItemError> = None;
    let took_all = results.took_all();
    let mut has_stopped = false;
    let shortage = results.shortage();
    for outcome in results.outcomes() {
        match outcome {
            Ok(value) => feeder.output(value),
            Err(error) if error.is_stopped() => has_stopped = true,
            // The end of the job records the first one.
            Err(error) if first.is_none() => first = Some(error),
            Err(error) => feeder.record(Level::Error, error.to_string()),
        }
    }
    if let Some(shortage) = shortage.and_then(|it| it.told()) {
        feeder.record(Level::Warning, shortage);
    }
    let end = match first {
        Some(error) => Err(JobErrorKind::Item(error)),
        None => feeder.end_without_failure(took_all() && !has_stopped),
    };
    feeder.finish(end);
}
