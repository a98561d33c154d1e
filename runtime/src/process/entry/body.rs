//! Code by its place in the executable.
//!
//! A body travels as two offsets: of a function compiled for its types, which knows how to read its
//! captures and what to do with what it makes, and of the body itself, a plain function pointer.
//! The sender makes both from typed values, so they fit each other; the receiver is the same build,
//! which the greeting has made sure of, so they are the same code there.
//!
//! `unsafe` in this module: the way back from an address to a function pointer.

#![allow(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::super::sys::image::image;
use super::ChildIo;
use crate::key::CallKey;
use crate::trace;

/// What serves a body elsewhere: compiled for the types of the body. `X` is what it has there to take
/// items from, in a child process its channel.
pub(crate) type Serve<F, X = ChildIo> = fn(&mut X, F);

/// A body that another process of this build can run, where that has an `X` for it.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Body<X = ChildIo> {
    offsets: Offsets,
    served_by: PhantomData<fn(X)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Offsets {
    run: i64,
    serve: i64,
    body: i64,
}

impl<X> Clone for Body<X> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<X> Copy for Body<X> {}

impl<X> PartialEq for Body<X> {
    fn eq(&self, other: &Self) -> bool {
        self.offsets == other.offsets
    }
}

impl<X> Eq for Body<X> {}

impl<X> fmt::Debug for Body<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.offsets.fmt(f)
    }
}

/// A body to be run, and what its parent wants to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) body: Body,
    /// The level up to which events are wanted: 0 for none, 1 for errors, 5 for everything.
    pub(crate) events: u8,
    /// Of a run: the child does not say when it is ready for a first batch that is short.
    pub(crate) bare: bool,
    /// That of the call in the parent.
    pub(crate) key: CallKey,
}

impl Order {
    /// `is_job`: what is said is kept among the records of a job, too.
    pub(crate) fn new(body: Body, is_job: bool) -> Self {
        let recorded = if is_job { trace::RECORDED } else { 0 };
        Self {
            body,
            events: trace::wanted().max(recorded),
            bare: false,
            key: CallKey::fresh(),
        }
    }
}

/// A function pointer: what a [`Body`] can be made of.
///
/// # Safety
/// Only function pointers implement it: the size of an address, and any address of a function of
/// that type is a value.
pub(crate) unsafe trait Pointer: Copy {}

// SAFETY: function pointers.
unsafe impl<R> Pointer for fn() -> R {}
// SAFETY: function pointers.
unsafe impl<A, R> Pointer for fn(A) -> R {}
// SAFETY: function pointers.
unsafe impl<A, B: ?Sized, R> Pointer for fn(A, &B) -> R {}

fn address<F: Pointer>(function: F) -> usize {
    const { assert!(size_of::<F>() == size_of::<usize>()) }
    // SAFETY: a function pointer of the size of an address is one.
    unsafe { std::mem::transmute_copy::<F, *const ()>(&function) }.expose_provenance()
}

/// # Safety
/// `address` is that of a function of type `F`.
unsafe fn pointer<F: Pointer>(address: usize) -> F {
    const { assert!(size_of::<F>() == size_of::<usize>()) }
    let address = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the caller says so.
    unsafe { std::mem::transmute_copy::<*const (), F>(&address) }
}

fn serve_address<F, X>(serve: Serve<F, X>) -> usize {
    (serve as *const ()).expose_provenance()
}

/// # Safety
/// `address` is that of a function of type `Serve<F, X>`.
unsafe fn serve_pointer<F, X>(address: usize) -> Serve<F, X> {
    let address = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the caller says so.
    unsafe { std::mem::transmute::<*const (), Serve<F, X>>(address) }
}

/// The untyped outside of [`run`].
type Run<X> = Serve<Addresses, X>;

#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    serve: usize,
    body: usize,
}

/// Gives the two addresses their types back.
fn run<F: Pointer, X>(io: &mut X, addresses: Addresses) {
    // SAFETY: `Body::new` has put this `run::<F, X>` into one value with the offsets of a `Serve<F, X>`
    // and an `F`, and the process that did is the same build.
    let serve = unsafe { serve_pointer::<F, X>(addresses.serve) };
    // SAFETY: see above.
    let body = unsafe { pointer::<F>(addresses.body) };
    serve(io, body);
}

impl<X> Body<X> {
    /// `body`, to be served by `serve`.
    pub(crate) fn new<F: Pointer>(serve: Serve<F, X>, body: F) -> Result<Self, NotInProgram> {
        let offset = |function| {
            image()
                .offset(function)
                .ok_or(NotInProgram { library: true })
        };
        if !image().is_program {
            return Err(NotInProgram { library: false });
        }
        let offsets = Offsets {
            run: offset(serve_address::<Addresses, X>(run::<F, X>))?,
            serve: offset(serve_address(serve))?,
            body: offset(address(body))?,
        };
        Ok(Self {
            offsets,
            served_by: PhantomData,
        })
    }

    /// Runs it in this process. False if no code is where it says.
    pub(crate) fn run(self, io: &mut X) -> bool {
        let image = image();
        let Offsets { run, serve, body } = self.offsets;
        let places = [run, serve, body].map(|it| image.address(it));
        let [Some(run), Some(serve), Some(body)] = places else {
            return false;
        };
        // SAFETY: `new` has made the offset from a `Run<X>`, in a process of the same build; a body is
        // sent to where it is read as one for the same `X`.
        let run: Run<X> = unsafe { serve_pointer(run) };
        run(io, Addresses { serve, body });
        true
    }
}

/// A body lies outside of the executable, where no child would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotInProgram {
    /// This crate is in the executable, but the body in a library.
    library: bool,
}

impl fmt::Display for NotInProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.library { "the body" } else { "runspace" };
        write!(
            f,
            "{what} is in a library that is loaded at run time; a child process finds its code \
             in the executable only: link it statically, or use `start_thread_job!`"
        )
    }
}

impl Error for NotInProgram {}
