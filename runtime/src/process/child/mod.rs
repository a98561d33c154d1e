//! Child processes as their parent has them: started, watched, stopped and always reaped.
//!
//! One thread does all of that for all children, the [`Supervisor`]: it starts them (the system ties
//! a child's death signal to the thread that started it, so that thread has to outlive them),
//! drains what they print, sees them end, and carries out what was put off. It is there while there
//! are children, and a second longer.

mod capture;
mod exit;
mod handle;
#[cfg(feature = "ctrl_c")]
mod roll;
mod supervisor;
#[cfg(test)]
mod tests;

pub(crate) use capture::{GOES_ON, LONGEST, Lines, NoLines, Stream};
pub use exit::{Crash, Exit};
pub(crate) use handle::{Born, Child, Handle, Patience};
#[cfg(feature = "ctrl_c")]
pub(crate) use roll::kill_all;
pub(crate) use supervisor::{Spec, Supervisor, is_shortage, supervisor, supervisor_for};
