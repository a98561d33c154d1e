use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::{checked, first_span, setters, stand_in, tuple};
use crate::model::{Body, Capture, Closure, Job, Kind};

/// ```text
/// thread_job(OPTIONS, CAPTURED, move |NAMES| BLOCK)
/// thread_job_emitting(OPTIONS, CAPTURED, move |NAMES, job| BODY)
/// ```
///
/// As in a loop, the closure stands where the body does.
pub(crate) fn job(call: &Job) -> TokenStream {
    let Job {
        krate,
        settings,
        captures,
        body,
    } = call;
    let setters = setters(settings);
    let values = tuple(captures.iter().map(|capture| {
        let Capture { value, kind, .. } = capture;
        let value = match kind {
            Kind::Owned | Kind::OwnedMut => value.clone(),
            // A mistake. What was to be borrowed may still be in use after the call.
            Kind::Borrowed => stand_in(value),
            Kind::BorrowedMut => stand_in(quote!(&#value)),
        };
        checked(krate, "send", capture, value)
    }));
    let names = tuple(
        captures
            .iter()
            .map(|Capture { name, kind, .. }| match kind {
                Kind::Owned => quote!(#name),
                Kind::OwnedMut => quote!(mut #name),
                Kind::Borrowed => quote!(ref #name),
                Kind::BorrowedMut => quote!(ref mut #name),
            }),
    );
    let options = quote!(#krate::__private::JobOptions::new() #setters);
    match body {
        Body::Block(block) => {
            let closure = quote_spanned!(first_span(block)=> move |#names|);
            quote!(#krate::__private::thread_job(#options, #values, #closure #block))
        }
        Body::Closure(Closure {
            attributes,
            header,
            body,
            ..
        }) => {
            let moves = quote_spanned!(header.open.span()=> move);
            let (open, job, close) = (&header.open, &header.parameters, &header.close);
            quote! {
                #krate::__private::thread_job_emitting(
                    #options,
                    #values,
                    #attributes #moves #open #names, #job #close #body
                )
            }
        }
    }
}
