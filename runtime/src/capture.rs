//! The check that each captured value passes on its way into a body, so that a type that does not
//! fit is reported at its name, in words, instead of at a closure.

/// What the items of a parallel call may share.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be captured by a parallel call",
    label = "every item sees this value at once, on several threads",
    note = "its type must be `Send` and `Sync`: use `Arc` instead of `Rc`, `Mutex`, an atomic or `runspace::collections::Bag` instead of `RefCell` or `Cell`, a clone for each item, or make it in `init(..)`, once for each worker"
)]
pub trait Shared {}

#[diagnostic::do_not_recommend]
impl<T: Send + Sync + ?Sized> Shared for T {}

/// What may be moved into a job.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be moved into a job",
    label = "the job runs on another thread",
    note = "its type must be `Send`: use `Arc` instead of `Rc`, and take what borrows a lock's guard out of the guard first"
)]
pub trait Moved {}

#[diagnostic::do_not_recommend]
impl<T: Send + ?Sized> Moved for T {}

/// A value that the items share.
pub fn capture<T: Shared + 'static>(value: T) -> T {
    value
}

/// A value that the items share, in a call that borrows.
pub fn capture_within<T: Shared>(value: T) -> T {
    value
}

/// A borrow that the items share.
pub fn borrow<T: Shared + ?Sized>(value: &T) -> &T {
    value
}

/// A value that a job takes with it.
pub fn send<T: Moved + 'static>(value: T) -> T {
    value
}

/// What may be sent to another process.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "a process job gets this value as bytes",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`, and `Send`: derive them, send what the value is made from, or use `start_thread_job!`, which moves the value itself"
)]
pub trait Sent: serde::Serialize + serde::de::DeserializeOwned + Send {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned + Send> Sent for T {}

/// A value that a process job takes with it.
#[cfg(feature = "process")]
pub fn serial<T: Sent + 'static>(value: T) -> T {
    value
}
