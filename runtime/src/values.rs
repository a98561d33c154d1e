//! The bounds on what goes into a body and comes out of it, beside what it captures: items and what is
//! made of them. A type that does not fit is reported in words, at the items or at the body.
//!
//! Each is a trait that is as good as the bounds it has in front of it, and the only bound that a
//! function which starts something puts on the type: rustc then has one thing to say.

use std::marker::PhantomData;

#[cfg(feature = "process")]
use serde::{Serialize, de::DeserializeOwned};

/// What the items of a loop come from.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the input of a parallel call",
    label = "the items are taken from here on another thread",
    note = "its type must be `Send`: use `Arc` instead of `Rc` in what makes the items, or collect them into a `Vec` first"
)]
pub trait Input: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Input for T {}

/// What an item can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a parallel call",
    label = "each of these items goes to another thread",
    note = "its type must be `Send`: use `Arc` instead of `Rc`, or items that the value can be made from in the body"
)]
pub trait Item: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Item for T {}

/// What the body of a loop can answer or emit.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a result of a parallel call",
    label = "what this makes comes from another thread",
    note = "its type must be `Send`: use `Arc` instead of `Rc`, or answer what the value can be made from"
)]
pub trait Outcome: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Outcome for T {}

/// What a job on a thread, or an invocation, can answer or emit.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a job",
    label = "what this makes comes from another thread",
    note = "its type must be `Send`: use `Arc` instead of `Rc`, or answer what the value can be made from"
)]
pub trait Output: Send {}

#[diagnostic::do_not_recommend]
impl<T: Send> Output for T {}

/// What an item in another process can be.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item for another process",
    label = "each of these items goes there as bytes",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`, and `Send`: `#[derive(Serialize, Deserialize)]` on it, or use items that the value can be made from in the body"
)]
pub trait SentItem: Serialize + DeserializeOwned + Send {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send> SentItem for T {}

/// What a body in another process can answer or emit.
#[cfg(feature = "process")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come back from another process",
    label = "what this makes comes as bytes",
    note = "its type must be `serde::Serialize` and `serde::de::DeserializeOwned`, and `Send`: `#[derive(Serialize, Deserialize)]` on it; for an error that has neither, such as `std::io::Error` or `anyhow::Error`, answer its text: `.map_err(|error| error.to_string())`"
)]
pub trait SentOutput: Serialize + DeserializeOwned + Send {}

#[cfg(feature = "process")]
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send> SentOutput for T {}

/// What a body makes, as a value that the macro puts where the body is: rustc reports a bound on a
/// type at the argument that has it.
#[derive(Clone, Copy, Debug)]
pub struct Made<R>(PhantomData<fn() -> R>);

/// The value of that type.
#[must_use]
pub fn made<R>() -> Made<R> {
    Made(PhantomData)
}
