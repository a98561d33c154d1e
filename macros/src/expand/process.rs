use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{first_span, job, parenthesised, setters};
use crate::model::{Named, NamedCall, ProcessJob, Program};

/// ```text
/// process_job(OPTIONS, CAPTURED, |NAMES| BLOCK)
/// named_job(OPTIONS, <path>::runspace_job(ARGUMENTS))
/// program_job(ProgramOptions::new(FILE).SETTERS)
/// ```
pub(crate) fn process_job(call: &ProcessJob) -> TokenStream {
    match call {
        ProcessJob::Body(call) => job(call),
        ProcessJob::Named(call) => named(call),
        ProcessJob::Program(call) => program(call),
    }
}

/// The attribute has made a type with the path of the function, see `expand::entered`. The function
/// of that type takes what the user's function does, so rustc checks the arguments as those of it.
fn named(call: &Named) -> TokenStream {
    let Named {
        krate,
        settings,
        call: NamedCall { path, arguments },
    } = call;
    let setters = setters(settings);
    let call = quote_spanned!(first_span(path)=> <#path>::runspace_job #arguments);
    quote! {
        #krate::__private::named_job(
            #krate::__private::ProcessJobOptions::new() #setters,
            #call
        )
    }
}

fn program(call: &Program) -> TokenStream {
    let Program {
        krate,
        file,
        settings,
    } = call;
    let file = parenthesised(file.clone(), first_span(file));
    let setters = setters(settings);
    quote! {
        #krate::__private::program_job(#krate::__private::ProgramOptions::new #file #setters)
    }
}
