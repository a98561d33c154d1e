//! `on = plan`: the back end as a matter of the program's start, not of its source.
//!
//! The idea, and that libraries should not set it, are those of R's `future::plan()`.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::foreach::Place;
use crate::foreach::executor::{Elastic, Sequential, Sized, Target};
use crate::sync::Mutex;

/// The variable that sets the plan from outside.
const VARIABLE: &str = "RUNSPACE_PLAN";

/// Where calls with `on = plan` run.
///
/// As text, in `RUNSPACE_PLAN` or for [`str::parse`]: `threads`, `threads:8`, `rayon`, `sequential`.
///
/// ```
/// use runspace::Plan;
///
/// assert_eq!("threads:8".parse(), Ok(Plan::Threads(Some(8))));
/// assert_eq!(Plan::Sequential.to_string(), "sequential");
/// assert!("treads".parse::<Plan>().unwrap_err().to_string().contains("threads:8"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Plan {
    /// Kept threads, with this throttle where a call sets none; without a number
    /// [`DEFAULT_THROTTLE`](crate::DEFAULT_THROTTLE).
    Threads(Option<usize>),
    /// rayon's global pool.
    #[cfg(feature = "rayon")]
    Rayon,
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
/// `RUNSPACE_PLAN` is stronger: who starts a program has the last word.
///
/// ```
/// use runspace::{Plan, foreach_parallel};
///
/// runspace::plan(Plan::Threads(Some(2)));
/// let sum: u32 = foreach_parallel!(1..=10, on = plan, |n| n).sum();
/// assert_eq!(sum, 55);
/// ```
pub fn plan(plan: Plan) -> Plan {
    PLAN.lock().replace(plan).unwrap_or_default()
}

/// `on = plan`.
///
/// # Panics
/// If `RUNSPACE_PLAN` says something that is no plan.
#[must_use]
#[track_caller]
pub fn on_plan() -> Place {
    let plan = match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(plan) => plan,
            Err(error) => panic!("{VARIABLE}: {error}"),
        },
        _ => (*PLAN.lock()).unwrap_or_default(),
    };
    let target: Arc<dyn Target> = match plan {
        Plan::Threads(None) => Arc::new(Elastic),
        Plan::Threads(Some(size)) => Arc::new(Sized::new(Elastic, size)),
        #[cfg(feature = "rayon")]
        Plan::Rayon => return crate::on_rayon::on_rayon(),
        Plan::Sequential => Arc::new(Sequential),
    };
    Place(target)
}

/// Text that is no [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePlanError {
    text: String,
}

impl fmt::Display for ParsePlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        let rayon = if cfg!(feature = "rayon") {
            "rayon, "
        } else {
            ""
        };
        write!(
            f,
            "`{text}` is no plan; write threads, threads:8, {rayon}or sequential"
        )
    }
}

impl Error for ParsePlanError {}

impl FromStr for Plan {
    type Err = ParsePlanError;

    fn from_str(text: &str) -> Result<Self, ParsePlanError> {
        let none = || ParsePlanError {
            text: text.to_owned(),
        };
        let (word, number) = match text.trim().split_once(':') {
            Some((word, number)) => (word, Some(number)),
            None => (text.trim(), None),
        };
        let number = match number.map(str::parse::<usize>) {
            None => None,
            Some(Ok(number)) if number > 0 => Some(number),
            Some(_) => return Err(none()),
        };
        match (word, number) {
            ("threads" | "thread", number) => Ok(Self::Threads(number)),
            #[cfg(feature = "rayon")]
            ("rayon", None) => Ok(Self::Rayon),
            ("sequential", None) => Ok(Self::Sequential),
            _ => Err(none()),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(None) => f.write_str("threads"),
            Self::Threads(Some(size)) => write!(f, "threads:{size}"),
            #[cfg(feature = "rayon")]
            Self::Rayon => f.write_str("rayon"),
            Self::Sequential => f.write_str("sequential"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_plan_are_the_same() {
        for text in ["threads", "threads:8", "rayon", "sequential"] {
            assert_eq!(text.parse::<Plan>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "threads:0",
            "threads:",
            "threads:x",
            "rayon:3",
            "sequential:1",
            "8",
        ] {
            let error = text.parse::<Plan>().unwrap_err().to_string();
            assert!(error.contains("is no plan; write threads"), "{error}");
        }
    }
}
