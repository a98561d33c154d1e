//! `on = plan`: the back end as a matter of the program's start, not of its source.
//!
//! The idea, that libraries should not set it, and that a level below it is sequential, are those of
//! R's `future::plan()`.

mod call;
mod text;

use crate::sync::Mutex;
#[cfg(feature = "process")]
use crate::sync::atomic::{AtomicBool, Ordering};

pub use call::{PlanWorker, foreach_plan};
pub use text::ParsePlanError;

/// The variable that sets the plan from outside.
const VARIABLE: &str = "RUNSPACE_PLAN";

/// Where calls with `on = plan` run.
///
/// As text, in `RUNSPACE_PLAN` or for [`str::parse`]: `threads`, `threads:8`, `rayon`, `process`,
/// `process:4`, `sequential`, `cluster:nats://localhost:4222`.
///
/// ```
/// use runspace::Plan;
///
/// assert_eq!("threads:8".parse(), Ok(Plan::Threads(Some(8))));
/// assert_eq!(Plan::Sequential.to_string(), "sequential");
/// assert!("treads".parse::<Plan>().unwrap_err().to_string().contains("threads:8"));
/// ```
///
/// A call that leaves its place to a plan is one that could run in any of them. So it has to be fit
/// for the strictest: its captures, items and results can be sent to another process, its body uses
/// only what `using(..)` names, and nothing is borrowed. What compiles, and is tested on threads,
/// runs in processes by a word in the environment. (In a build without the feature `process` there is no such
/// place, and nothing has to implement serde's traits.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Plan {
    /// Kept threads, with this throttle where a call sets none; without a number
    /// [`DEFAULT_THROTTLE`](crate::DEFAULT_THROTTLE).
    Threads(Option<usize>),
    /// rayon's global pool.
    #[cfg(feature = "rayon")]
    Rayon,
    /// Worker processes, as with `on = process`, with this throttle where a call sets none; without a
    /// number [`DEFAULT_THROTTLE`](crate::DEFAULT_THROTTLE). A [policy](crate::policy) that refuses
    /// `on = process` refuses it as well.
    #[cfg(feature = "process")]
    Process(Option<usize>),
    /// The workers of the NATS server at this address, as with `on = cluster(&cluster)`. The connection is made when it is first
    /// needed, with what the variables `RUNSPACE_KEY` and so on say, and kept; a call that cannot be connected fails with
    /// [`Cause::Cluster`](crate::Cause::Cluster).
    #[cfg(feature = "cluster")]
    Cluster(String),
    /// The thread that reads the results, one item after the other: to step through a body with a
    /// debugger, or to see whether a fault has to do with threads at all.
    Sequential,
}

impl Default for Plan {
    fn default() -> Self {
        Self::Threads(None)
    }
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Sets where calls with `on = plan` run from now on, and answers what it was. For `main`, or a
/// test's start; a library leaves it to the program.
///
/// `RUNSPACE_PLAN` is stronger: who starts a program has the last word. Calls that have begun stay
/// where they are.
///
/// ```
/// use runspace::{Plan, foreach_parallel};
///
/// runspace::plan(Plan::Threads(Some(2)));
/// let sum: u32 = foreach_parallel!(1..=10, on = plan, |n| n).sum();
/// assert_eq!(sum, 55);
/// ```
///
/// # Levels
/// An item in a worker process that a plan has chosen runs its own calls with `on = plan` one item after the
/// other, as [`Plan::Sequential`]: the outer call has divided up the machine already. On threads and on
/// rayon an inner call has the plan that the outer one has.
///
/// What is set here holds for this process. A child process has `RUNSPACE_PLAN` from its
/// environment, or the default.
///
/// # Panics
/// On a plan with a throttle of 0.
#[track_caller]
pub fn plan(plan: Plan) -> Plan {
    let throttle = match &plan {
        Plan::Threads(throttle) => *throttle,
        #[cfg(feature = "process")]
        Plan::Process(throttle) => *throttle,
        _ => None,
    };
    assert!(
        throttle != Some(0),
        "a plan with a throttle of 0 would run nothing; give it at least 1, or none for {}",
        crate::DEFAULT_THROTTLE
    );
    PLAN.lock().replace(plan).unwrap_or_default()
}

/// The plan for a call that starts now.
///
/// # Panics
/// If `RUNSPACE_PLAN` says something that is no plan.
#[track_caller]
fn current() -> Plan {
    #[cfg(feature = "process")]
    if IS_WORKER.load(Ordering::Relaxed) {
        return Plan::Sequential;
    }
    match std::env::var_os(VARIABLE) {
        Some(text) if !text.is_empty() => match text.to_string_lossy().parse() {
            Ok(plan) => plan,
            Err(error) => panic!("{VARIABLE}: {error}"),
        },
        _ => PLAN.lock().clone().unwrap_or_default(),
    }
}

/// This process runs items for a plan.
#[cfg(feature = "process")]
static IS_WORKER: AtomicBool = AtomicBool::new(false);

/// Makes this process a worker of a plan until it is dropped: the next call may name its back end.
#[cfg(feature = "process")]
struct AsWorker;

#[cfg(feature = "process")]
impl AsWorker {
    fn begin() -> Self {
        IS_WORKER.store(true, Ordering::Relaxed);
        Self
    }
}

#[cfg(feature = "process")]
impl Drop for AsWorker {
    fn drop(&mut self) {
        IS_WORKER.store(false, Ordering::Relaxed);
    }
}
