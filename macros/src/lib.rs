//! The macros of `runspace`. Depend on that crate: its `macro_rules!` fronts of the same names pass
//! `$crate` as the first token, which is how the generated code finds the runtime under any name.
//!
//! A call goes through three steps. `parse` reads the clauses and the closure's header, `check`
//! turns them into the model, and `expand` writes the model down and cannot fail. The first two
//! report all they find and hand on what they could make of the call, so that one run of the
//! compiler shows the mistakes in the clauses and the mistakes in the body.

mod check;
mod error;
mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;

/// See `runspace::foreach_parallel!`.
#[proc_macro]
pub fn foreach_parallel(input: TokenStream) -> TokenStream {
    expand_foreach(input.into()).into()
}

/// See `runspace::start_thread_job!`.
#[proc_macro]
pub fn start_thread_job(input: TokenStream) -> TokenStream {
    expand_job(input.into()).into()
}

/// What a call of `foreach_parallel!` becomes.
fn expand_foreach(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = error::Errors::default();
    let call = parse::foreach(input, &mut errors);
    let call = call.and_then(|call| check::foreach(call, &mut errors));
    errors.finish(call.map(|call| expand::foreach(&call)))
}

/// What a call of `start_thread_job!` becomes.
fn expand_job(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = error::Errors::default();
    let call = parse::job(input, &mut errors);
    let call = call.and_then(|call| check::job(call, &mut errors));
    errors.finish(call.map(|call| expand::job(&call)))
}
