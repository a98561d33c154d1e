//! Code by its place in the executable.
//!
//! A body travels as two offsets: of a function compiled for its types, which knows how to read its
//! captures and what to do with what it makes, and of the body itself, a plain function pointer.
//! The parent makes both from typed values, so they fit each other; the child is the same build,
//! which the greeting has made sure of, so they are the same code there.
//!
//! `unsafe` in this module: the way back from an address to a function pointer.

#![allow(unsafe_code)]

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::sys::image::image;
use super::ChildIo;
use crate::trace;

/// What serves a body in a child: compiled for the types of the body.
pub(crate) type Serve<F> = fn(&mut ChildIo, F);

/// A body that a child can run, as a pair of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    run: i64,
    serve: i64,
    body: i64,
}

/// A body to be run, and what its parent wants to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) body: Body,
    /// The level up to which events are wanted: 0 for none, 1 for errors, 5 for everything.
    pub(crate) events: u8,
    /// Of a run: the child does not say when it is ready for a first batch that is short.
    pub(crate) bare: bool,
}

impl Order {
    /// `is_job`: what is said is kept among the records of a job, too.
    pub(crate) fn new(body: Body, is_job: bool) -> Self {
        let recorded = if is_job { trace::RECORDED } else { 0 };
        Self {
            body,
            events: trace::wanted().max(recorded),
            bare: false,
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

fn serve_address<F>(serve: Serve<F>) -> usize {
    (serve as *const ()).expose_provenance()
}

/// # Safety
/// `address` is that of a function of type `Serve<F>`.
unsafe fn serve_pointer<F>(address: usize) -> Serve<F> {
    let address = std::ptr::with_exposed_provenance::<()>(address);
    // SAFETY: the caller says so.
    unsafe { std::mem::transmute::<*const (), Serve<F>>(address) }
}

/// The untyped outside of [`run`].
type Run = Serve<Addresses>;

#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    serve: usize,
    body: usize,
}

/// Gives the two addresses their types back.
fn run<F: Pointer>(io: &mut ChildIo, addresses: Addresses) {
    // SAFETY: `Body::new` has put this `run::<F>` into one value with the offsets of a `Serve<F>`
    // and an `F`, and the process that did is the same build.
    let serve = unsafe { serve_pointer::<F>(addresses.serve) };
    // SAFETY: see above.
    let body = unsafe { pointer::<F>(addresses.body) };
    serve(io, body);
}

impl Body {
    /// `body`, to be served by `serve`.
    pub(crate) fn new<F: Pointer>(serve: Serve<F>, body: F) -> Result<Self, NotInProgram> {
        let offset = |function| {
            image()
                .offset(function)
                .ok_or(NotInProgram { library: true })
        };
        if !image().is_program {
            return Err(NotInProgram { library: false });
        }
        Ok(Self {
            run: offset(serve_address::<Addresses>(run::<F>))?,
            serve: offset(serve_address(serve))?,
            body: offset(address(body))?,
        })
    }

    /// Runs it in this process. False if no code is where it says.
    pub(super) fn run(self, io: &mut ChildIo) -> bool {
        let image = image();
        let places = [self.run, self.serve, self.body].map(|it| image.address(it));
        let [Some(run), Some(serve), Some(body)] = places else {
            return false;
        };
        // SAFETY: `new` has made the offset from a `Run`, in a process of the same build.
        let run: Run = unsafe { serve_pointer(run) };
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
