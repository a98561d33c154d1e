//! What becomes of the results of a case, and what is seen of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

use runspace::{Cause, ItemError, Job, JobErrorKind, JobState, Outcomes, Results};

use super::bodies::{Answer, Payload};
use super::case::{Case, End};
use super::log::Live;

/// One result or failure, in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Value {
        index: u64,
        attempt: u32,
        seq: u32,
        good: bool,
        leaked: usize,
    },
    Failed {
        index: Option<u64>,
        /// Not told by a failure that is raised.
        attempt: Option<u32>,
        why: Why,
        text: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The body, of this item at this try.
    Body(u64, u32),
    /// Other user code.
    Trap,
    Stopped,
    TimedOut,
    Deadline,
    Process,
    Unknown,
}

/// How much was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All outcomes.
    All,
    /// All values, and failures but those of stopped items.
    Raised,
    /// All up to some moment.
    Part,
    /// At most one failure.
    Nothing,
}

pub struct Story {
    pub seen: Vec<Seen>,
    pub extent: Extent,
    /// Values were forgotten, and are not in the ledger.
    pub forgotten: bool,
    pub job: Option<JobState>,
}

pub fn of_value(answer: Answer) -> Seen {
    let good = answer.is_ok();
    let (Ok(output) | Err(output)) = &answer;
    let seen = Seen::Value {
        index: output.index,
        attempt: output.attempt,
        seq: output.seq,
        good,
        leaked: output.leaked,
    };
    // Its destructor is this side's affair.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(answer)));
    seen
}

fn why_of_text(text: &str) -> (Option<u64>, Why) {
    let mut words = text.split_whitespace();
    let mut after = |word| {
        words
            .find(|it| *it == word)
            .and_then(|_| words.next()?.parse().ok())
    };
    if text.starts_with("planned:") {
        let index = after("item");
        return match (index, after("try")) {
            (Some(index), Some(attempt)) => (
                Some(index),
                Why::Body(index, u32::try_from(attempt).unwrap()),
            ),
            _ => (None, Why::Trap),
        };
    }
    let index = match text.starts_with("item ") {
        true => after("item"),
        false => None,
    };
    let why = match text {
        it if it.contains("given up after its timeout") => Why::TimedOut,
        it if it.contains("deadline of") => Why::Deadline,
        it if it.contains("planned:") => Why::Trap,
        it if it.contains("process") => Why::Process,
        _ => Why::Unknown,
    };
    (index, why)
}

fn of_payload(payload: Box<dyn Any + Send>) -> (Option<u64>, Why, String) {
    let told = if let Some(it) = payload.downcast_ref::<Payload>() {
        (
            Some(it.index),
            Why::Body(it.index, it.attempt),
            String::new(),
        )
    } else {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|it| (*it).to_owned()));
        let text = text.unwrap_or_else(|| "a payload of another type".to_owned());
        let (index, why) = why_of_text(&text);
        (index, why, text)
    };
    let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    told
}

pub fn of_error(error: ItemError) -> Seen {
    let (index, attempt) = (error.index(), Some(error.attempt()));
    let text = error.to_string();
    assert!(error.location().file().ends_with("start.rs"), "{text}");
    let why = match error.into_cause() {
        Cause::Panicked(it)
        | Cause::InputPanicked(it)
        | Cause::InitPanicked(it)
        | Cause::DropPanicked(it) => of_payload(it.into_value()).1,
        Cause::Stopped => Why::Stopped,
        Cause::TimedOut(_) => Why::TimedOut,
        Cause::DeadlinePassed { .. } => Why::Deadline,
        Cause::Process(_) => Why::Process,
        // A journal says so in words.
        _ if text.contains("planned:") => Why::Trap,
        _ => Why::Unknown,
    };
    Seen::Failed {
        index,
        attempt,
        why,
        text,
    }
}

fn of_raised(payload: Box<dyn Any + Send>) -> Seen {
    let (index, why, text) = of_payload(payload);
    Seen::Failed {
        index,
        attempt: None,
        why,
        text,
    }
}

fn of_outcome(outcome: Result<Answer, ItemError>) -> Seen {
    match outcome {
        Ok(value) => of_value(value),
        Err(error) => of_error(error),
    }
}

/// The panic of this side.
struct Mine;

/// Does with the results what the case says.
pub fn consume(case: &Case, live: &Live, mut results: Results<Answer>) -> Story {
    *live.token.lock().unwrap() = Some(results.stop_token());
    let throttle = results.throttle();
    let report = case.report.then(|| results.report());
    let mut story = Story {
        seen: Vec::new(),
        extent: Extent::Part,
        forgotten: false,
        job: None,
    };
    let consumed = |story: &mut Story, seen: Seen| {
        live.consumed.fetch_add(1, Ordering::SeqCst);
        story.seen.push(seen);
        for (after, set) in &case.changes {
            if *after == story.seen.len() {
                throttle.set(*set);
            }
        }
    };
    for (after, set) in &case.changes {
        if *after == 0 {
            throttle.set(*set);
        }
    }
    // Reads up to `most` results; false at the end.
    let read = |story: &mut Story, results: &mut Results<Answer>, most: usize| {
        for _ in 0..most {
            match catch_unwind(AssertUnwindSafe(|| results.next())) {
                Ok(Some(answer)) => consumed(story, of_value(answer)),
                Ok(None) => return false,
                Err(payload) => consumed(story, of_raised(payload)),
            }
        }
        true
    };
    let read_outcomes = |story: &mut Story, outcomes: &mut Outcomes<Answer>, most: usize| {
        for _ in 0..most {
            match outcomes.next() {
                Some(outcome) => consumed(story, of_outcome(outcome)),
                None => return false,
            }
        }
        true
    };
    match case.end {
        End::Read => {
            read(&mut story, &mut results, usize::MAX);
            story.extent = Extent::Raised;
            assert!(results.next().is_none(), "an end is the end");
        }
        End::ForEach => {
            let all = catch_unwind(AssertUnwindSafe(|| {
                results.for_each(|it| consumed(&mut story, of_value(it)));
            }));
            match all {
                Ok(()) => story.extent = Extent::Raised,
                Err(payload) => story.seen.push(of_raised(payload)),
            }
        }
        End::Outcomes => {
            let mut outcomes = results.outcomes();
            read_outcomes(&mut story, &mut outcomes, usize::MAX);
            story.extent = Extent::All;
            assert!(outcomes.next().is_none(), "an end is the end");
        }
        End::Wait | End::Bare => {
            story.extent = Extent::Nothing;
            let waits = case.end == End::Wait;
            let raised = catch_unwind(AssertUnwindSafe(|| match waits {
                true => results.wait(),
                false => drop(results),
            }));
            story.seen.extend(raised.err().map(of_raised));
        }
        End::BareOutcomes => {
            story.extent = Extent::Nothing;
            drop(results.outcomes());
        }
        End::DropAfter(most) => {
            read(&mut story, &mut results, most);
            // Untouched it would run to its end.
            match most {
                0 => results.stop(),
                _ => drop(results),
            }
        }
        End::DropOutcomesAfter(most) => {
            let mut outcomes = results.outcomes();
            read_outcomes(&mut story, &mut outcomes, most.max(1));
            drop(outcomes);
        }
        End::StopAfter(most) => {
            read(&mut story, &mut results, most);
            results.stop();
        }
        End::TokenAfter(most) => {
            let token = results.stop_token();
            let mut outcomes = results.outcomes();
            read_outcomes(&mut story, &mut outcomes, most);
            token.stop();
            read_outcomes(&mut story, &mut outcomes, usize::MAX);
            story.extent = Extent::All;
        }
        End::TokenOutside(tenths) => {
            let token = results.stop_token();
            let mut outcomes = results.outcomes();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_micros(100 * u64::from(tenths)));
                    token.stop();
                });
                read_outcomes(&mut story, &mut outcomes, usize::MAX);
            });
            story.extent = Extent::All;
        }
        End::UnwindAfter(most) => {
            let raised = catch_unwind(AssertUnwindSafe(|| {
                let mut results = results;
                read(&mut story, &mut results, most);
                resume_unwind(Box::new(Mine));
            }));
            assert!(
                raised.unwrap_err().is::<Mine>(),
                "another panic than its own"
            );
        }
        End::FoldUnwinds(most) => {
            let all = catch_unwind(AssertUnwindSafe(|| {
                results.for_each(|it| {
                    consumed(&mut story, of_value(it));
                    if story.seen.len() > most {
                        resume_unwind(Box::new(Mine));
                    }
                });
            }));
            match all {
                Ok(()) => story.extent = Extent::Raised,
                Err(payload) if payload.is::<Mine>() => {}
                Err(payload) => story.seen.push(of_raised(payload)),
            }
        }
        End::DropElsewhereAfter(most) => {
            read(&mut story, &mut results, most.max(1));
            let dropper = std::thread::spawn(move || drop(results));
            dropper.join().unwrap();
        }
        End::ForgetAfter(most) => {
            read(&mut story, &mut results, most);
            let token = results.stop_token();
            std::mem::forget(results);
            token.stop();
            story.forgotten = true;
        }
        End::JobIter | End::JobWait | End::JobStop(_) | End::JobDrop | End::JobRemoveForce(_) => {
            job(case, results.into_job(), &mut story);
        }
    }
    if let Some(report) = report
        && story.extent == Extent::All
    {
        let failed = |it: &&Seen| matches!(it, Seen::Failed { why, .. } if *why != Why::Stopped);
        let failed = story.seen.iter().filter(failed).count() as u64;
        assert_eq!(report.failed(), failed, "{report}");
        let _ = report.to_string();
    }
    story
}

fn job(case: &Case, job: Job<Answer>, story: &mut Story) {
    let pause = |tenths: u8| std::thread::sleep(Duration::from_micros(100 * u64::from(tenths)));
    match case.end {
        End::JobIter => {
            // Raises the failure of the job at the end.
            let all = catch_unwind(AssertUnwindSafe(|| {
                job.iter().for_each(|it| story.seen.push(of_value(it)));
            }));
            let raised = all.err().map(of_raised);
            story.job = Some(job.wait());
            let fails = story.job == Some(JobState::Failed);
            assert_eq!(
                raised.is_some(),
                fails,
                "{raised:?} of a job that is {:?}",
                story.job
            );
        }
        End::JobWait => {
            story.job = Some(job.wait());
            story.seen.extend(job.receive().into_iter().map(of_value));
        }
        End::JobStop(tenths) => {
            pause(tenths);
            job.stop();
            story.job = Some(job.wait());
            story.seen.extend(job.receive().into_iter().map(of_value));
        }
        End::JobDrop => {
            let id = job.id();
            drop(job);
            // It runs on, and keeps its line until it has ended.
            while runspace::jobs()
                .get(id)
                .is_some_and(|it| !it.state().is_finished())
            {
                std::thread::sleep(Duration::from_micros(100));
            }
            story.extent = Extent::Nothing;
            return;
        }
        End::JobRemoveForce(tenths) => {
            pause(tenths);
            job.remove_force();
            story.extent = Extent::Nothing;
            return;
        }
        _ => unreachable!("no job"),
    }
    // The first failure is that of the job, and the others are records.
    if let Err(error) = job.join()
        && let JobErrorKind::Item(error) = error.into_kind()
    {
        let _ = of_error(error);
    }
}
