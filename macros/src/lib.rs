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

use error::Errors;
use parse::Form;
use parse::attribute;

/// See `runspace::foreach_parallel!`.
#[proc_macro]
pub fn foreach_parallel(input: TokenStream) -> TokenStream {
    expand_foreach(input.into()).into()
}

/// See `runspace::pipeline!`.
#[proc_macro]
pub fn pipeline(input: TokenStream) -> TokenStream {
    expand_pipeline(input.into()).into()
}

/// See `runspace::start_thread_job!`.
#[proc_macro]
pub fn start_thread_job(input: TokenStream) -> TokenStream {
    expand_thread_job(input.into()).into()
}

/// See `runspace::start_job!`.
#[proc_macro]
pub fn start_job(input: TokenStream) -> TokenStream {
    expand_process_job(input.into()).into()
}

/// See `runspace::invoke!`.
#[proc_macro]
pub fn invoke(input: TokenStream) -> TokenStream {
    expand_invocation(input.into()).into()
}

/// See `runspace::job`.
#[proc_macro_attribute]
pub fn job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_entered(arguments.into(), item.into()).into()
}

/// See `runspace::main`.
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand_main(arguments.into(), item.into()).into()
}

/// What `runspace::job` is without the feature `process`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn job_without_process(_: TokenStream, item: TokenStream) -> TokenStream {
    without_process("job", item.into()).into()
}

/// What `runspace::main` is without the feature `process`.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn main_without_process(_: TokenStream, item: TokenStream) -> TokenStream {
    without_process("main", item.into()).into()
}

/// What a call of `foreach_parallel!` becomes.
fn expand_foreach(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let call = parse::call_on(Form::Foreach, input, &mut errors);
    let call = call.and_then(|call| check::foreach(call, &mut errors));
    errors.finish(call.map(|call| expand::foreach(&call)))
}

/// What a call of `pipeline!` becomes.
fn expand_pipeline(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let call = parse::pipeline(input, &mut errors);
    let call = call.and_then(|call| check::pipeline(call, &mut errors));
    errors.finish(call.map(|call| expand::pipeline(&call)))
}

/// What a call of `start_thread_job!` becomes.
fn expand_thread_job(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let call = parse::job(Form::ThreadJob, input, &mut errors);
    let call = call.and_then(|call| check::thread_job(call, &mut errors));
    errors.finish(call.map(|call| expand::job(&call)))
}

/// What a call of `start_job!` becomes.
fn expand_process_job(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let call = parse::job(Form::ProcessJob, input, &mut errors);
    let call = call.and_then(|call| check::process_job(call, &mut errors));
    errors.finish(call.map(|call| expand::process_job(&call)))
}

/// What a call of `invoke!` becomes.
fn expand_invocation(input: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let call = parse::call_on(Form::Invoke, input, &mut errors);
    let call = call.and_then(|call| check::invocation(call, &mut errors));
    errors.finish(call.map(|call| expand::job(&call)))
}

/// What a function under `#[job]` becomes.
fn expand_entered(
    arguments: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let arguments = attribute::arguments(arguments, &["name", "crate"], &mut errors);
    let function = attribute::function("job", &item, &mut errors);
    let job = function.and_then(|it| check::entered(it, arguments, &mut errors));
    let job = job.map(|job| expand::entered(&job, &item));
    errors.finish_item(job.unwrap_or(item))
}

/// What `main` under `#[main]` becomes.
fn expand_main(
    arguments: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    let arguments = attribute::arguments(arguments, &["crate"], &mut errors);
    let function = attribute::function("main", &item, &mut errors);
    let main = function.and_then(|it| check::main(it, arguments, &mut errors));
    let main = main.map(|main| expand::main(&main, &item));
    errors.finish_item(main.unwrap_or(item))
}

/// The item as it is, and an error at the attribute.
fn without_process(attribute: &str, item: proc_macro2::TokenStream) -> proc_macro2::TokenStream {
    let mut errors = Errors::default();
    errors.push(
        proc_macro2::Span::call_site(),
        format_args!(
            "`#[{attribute}]` needs the feature `process` of the crate `runspace`, which is off; write \
             `runspace = {{ version = \"..\", features = [\"process\"] }}` in Cargo.toml, or leave the \
             attribute out"
        ),
    );
    errors.finish_item(item)
}
