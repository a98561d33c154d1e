//! The check that each captured value passes on its way into a body, so that a type that does not
//! fit is reported at its name, in words, instead of at a closure.
//!
//! What a job takes with it is checked twice: each value by a function, and all of them by a bound of the
//! function that starts the job, which could not use them otherwise. They are pairs, `(a, (b, ()))`, so that
//! rustc follows the bound to the one value that does not fit, finds that it has said so there, and
//! does not say it again.

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
pub trait Moved: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Moved for T {}

/// All that a job takes with it, as pairs.
pub trait AllMoved: Send {}

impl AllMoved for () {}
impl<T: Moved, Rest: AllMoved> AllMoved for (T, Rest) {}

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

/// `send()(value)` is a value that a job takes with it.
pub fn send<T: Moved + 'static>() -> fn(T) -> T {
    |value| value
}

/// What may be sent to another process.
///
/// That a value is read from bytes which do not last, `AllSent` asks alone. For a borrowed type this is no
/// matter of traits but of lifetimes, of which rustc would speak at each place that asks.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "the other process gets this value as bytes",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`, and `Send`: `#[derive(Serialize, Deserialize)]` on it, send what the value is made from, or stay on threads, where the value itself is moved; of a collection of `runspace::collections` there would be a copy that shares nothing: answer the values from the body and collect them here, or send its `to_vec()`"
)]
pub trait Sent {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::Deserialize<'static> + Send> Sent for T {}

/// All that a body takes with it to another process, as pairs.
///
/// A function that takes both the values and a plain function of them, `fn(Itself) -> T`, names the
/// type in the second by this trait: rustc follows a bound to an argument only if no other has the type.
#[cfg(feature = "process")]
pub trait AllSent: serde::Serialize + serde::de::DeserializeOwned + Send {
    /// The type, with what is known of it.
    type Itself: serde::Serialize + serde::de::DeserializeOwned + Send;

    /// The values.
    fn itself(self) -> Self::Itself;
}

#[cfg(feature = "process")]
impl AllSent for () {
    type Itself = ();

    fn itself(self) {}
}

#[cfg(feature = "process")]
impl<T, Rest> AllSent for (T, Rest)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Send,
    Rest: AllSent,
{
    type Itself = (T, Rest);

    fn itself(self) -> (T, Rest) {
        self
    }
}

/// `serial()(value)` is a value that a process job takes with it.
#[cfg(feature = "process")]
pub fn serial<T: Sent + 'static>() -> fn(T) -> T {
    |value| value
}

/// The same without processes, where the call is an error already.
#[cfg(not(feature = "process"))]
pub fn serial<T>() -> fn(T) -> T {
    |value| value
}

/// All that a body takes with it wherever a plan may choose: without processes, anything.
#[cfg(not(any(feature = "process", loom)))]
pub trait AllSent {
    /// The type, with what is known of it.
    type Itself;

    /// The values.
    fn itself(self) -> Self::Itself;
}

#[cfg(not(any(feature = "process", loom)))]
impl<T> AllSent for T {
    type Itself = T;

    fn itself(self) -> T {
        self
    }
}

/// What can go wherever a plan may choose.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go where a plan may choose",
    label = "a plan may choose another process, which gets this type as bytes",
    note = "it must be `serde::Serialize` and `serde::de::DeserializeOwned`: derive them, use what the value is made from, the text of an error for one, or name a back end of this process, as in `on = thread`"
)]
pub trait Portable: serde::Serialize + serde::de::DeserializeOwned {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::de::DeserializeOwned> Portable for T {}

/// What can go wherever a plan may choose: without processes, anything.
#[cfg(not(any(feature = "process", loom)))]
pub trait Portable {}

#[cfg(not(any(feature = "process", loom)))]
impl<T> Portable for T {}

/// What a body may take along wherever a plan may choose. What [`Sent`] leaves to `AllSent`, this does too.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot go where a plan may choose",
    label = "a plan may choose another process, which gets this value as bytes",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`: derive them, send what the value is made from, or name a back end of this process, as in `on = thread`; of a collection of `runspace::collections` there would be a copy that shares nothing: answer the values from the body and collect them here, or send its `to_vec()`"
)]
pub trait Carried {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: serde::Serialize + serde::Deserialize<'static>> Carried for T {}

/// What a body may take along wherever a plan may choose: without processes, anything.
#[cfg(not(feature = "process"))]
pub trait Carried {}

#[cfg(not(feature = "process"))]
impl<T> Carried for T {}

/// `portable()(value)` is a value that the items share, wherever they run.
pub fn portable<T: Carried + Shared + 'static>() -> fn(T) -> T {
    |value| value
}
