//! Who may start child processes: PowerShell's language mode, for processes.
//!
//! Every process has one [`Policy`]. It says whether `start_job!`, parallel calls `on = process` and
//! `start_job!(file = ..)` may start anything. What runs on threads is never affected.
//!
//! | policy | blocks | [`#[runspace::job]`](known_jobs) names | files |
//! |---|---|---|---|
//! | [`Allow`](Policy::Allow), the default | start | start | start |
//! | [`Audit`](Policy::Audit) | start, recorded | start, recorded | start, recorded |
//! | [`ApprovedOnly`](Policy::ApprovedOnly) | are refused | start if [approved](approve_job) | start if [approved](approve_file) |
//! | [`Deny`](Policy::Deny) | are refused | are refused | are refused |
//!
//! The policy comes from the environment variable `RUNSPACE_POLICY` (`allow`, `audit`,
//! `approved-only` or `deny`), from [`set`], and from the process that started this one; the strictest
//! of them holds. It is never loosened: who is handed a process under a policy can rely on it.
//! What is refused is refused before anything has started, with an error that names the policy,
//! where it was set, and what to do instead.
//!
//! ```
//! use runspace::policy::{self, Policy};
//!
//! policy::set(Policy::Audit).unwrap();
//! assert_eq!(policy::current(), Policy::Audit);
//!
//! // Only ever tightened.
//! policy::set(Policy::Deny).unwrap();
//! let error = policy::set(Policy::Allow).unwrap_err();
//! assert!(error.to_string().contains("it is Deny, set at "), "{error}");
//! ```
//!
//! # Children
//! A worker process gets the policy and the approvals of its parent with its first message, whatever
//! its environment says, and cannot approve more. An external program that is itself built with this crate
//! gets the policy through `RUNSPACE_POLICY`, and no approvals.
//!
//! # What it is not
//! It is no sandbox. It governs what this crate starts; code in the process can still use
//! [`std::process::Command`] or the system itself. Processes that run when the policy is tightened
//! run on.

mod approve;
mod audit;
mod denied;
mod file;
mod inherit;
mod level;
mod source;
mod start;
mod state;

pub use approve::{ApproveError, approve_file, approve_file_with_sha256, approve_job};
pub use audit::{AuditRecord, Verdict, audit};
pub use denied::Denied;
pub(crate) use inherit::{for_program, hand_on, take_over};
pub use level::{LoosenError, Policy};
pub use source::PolicySource;
pub(crate) use start::admit;
pub use start::{Start, check};

pub use crate::named::{KnownJob, known_jobs};

use std::panic::Location;

use state::{change, state};

/// The environment variable that the policy of a process can come from.
pub const VARIABLE: &str = "RUNSPACE_POLICY";

/// Makes the policy of this process as strict as `policy`. One that is that strict already keeps its
/// [`source`].
///
/// # Errors
/// It is stricter already; the error says where that was set.
#[track_caller]
pub fn set(policy: Policy) -> Result<(), LoosenError> {
    let source = PolicySource::Code(Location::caller());
    change(|state| state.set(policy, source.clone()))
}

/// The policy of this process now.
#[must_use]
pub fn current() -> Policy {
    state().policy
}

/// Where the policy of this process was set.
#[must_use]
pub fn source() -> PolicySource {
    state().source.clone()
}
