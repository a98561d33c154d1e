use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::{checked, first_span, made_by, made_in, setters, stand_in, tuple};
use crate::model::{Capture, Closure, Host, Job, JobBody, Kind, Place};

/// ```text
/// thread_job(OPTIONS, CAPTURED, move |NAMES| BLOCK)
/// thread_job_emitting(OPTIONS, CAPTURED, move |NAMES, job| BODY)
/// process_job(OPTIONS, CAPTURED, |NAMES| BLOCK)
/// cluster_job(OPTIONS, CAPTURED, |NAMES| BLOCK)
/// invoke(RUNSPACE, OPTIONS, CAPTURED, move |NAMES| BLOCK)
/// ```
///
/// As in a loop, the closure stands where the body does. That of a process becomes a plain function:
/// it captures nothing, so that rustc points at what the body uses and `using(..)` does not name.
pub(crate) fn job(call: &Job) -> TokenStream {
    let Job {
        krate,
        host,
        settings,
        captures,
        body,
    } = call;
    let Entry {
        function,
        with_context,
        options,
        check,
        moves,
    } = Entry::of(host);
    let setters = setters(settings);
    let values = tuple(captures.iter().map(|capture| {
        let Capture { value, kind, .. } = capture;
        let value = match kind {
            Kind::Owned | Kind::OwnedMut => value.clone(),
            // A mistake. What was to be borrowed may still be in use after the call.
            Kind::Borrowed => stand_in(value),
            Kind::BorrowedMut => stand_in(quote!(&#value)),
        };
        checked(krate, check, capture, value)
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
    let target = match host {
        Host::Runspace(target) => Some(quote!(#target,)),
        Host::Thread | Host::Process | Host::Cluster(_) => None,
    };
    let place = match host {
        Host::Cluster(place) => {
            let Place { word, argument, .. } = &**place;
            let setter = Ident::new("on_cluster", word.span());
            Some(quote!(.#setter #argument))
        }
        _ => None,
    };
    let options = quote!(#krate::__private::#options::new() #setters #place);
    // The type of a plain function says what it makes.
    let takes_made = moves;
    let moved = |span| moves.then(|| Ident::new("move", span));
    match body {
        JobBody::Block(block) => {
            let span = first_span(block);
            let moves = moved(span);
            let closure = quote_spanned!(span=> #moves |#names|);
            let made = takes_made.then(|| made_in(krate, block));
            let made = made.map(|made| quote!(, #made));
            quote! {
                #krate::__private::#function(#target #options, #values, #closure #block #made)
            }
        }
        JobBody::Closure(closure) => {
            let Closure {
                attributes,
                header,
                body,
                ..
            } = closure;
            let moves = moved(header.open.span());
            let (open, job, close) = (&header.open, &header.parameters, &header.close);
            let made = takes_made.then(|| made_by(krate, closure));
            let made = made.map(|made| quote!(, #made));
            quote! {
                #krate::__private::#with_context(
                    #target
                    #options,
                    #values,
                    #attributes #moves #open #names, #job #close #body
                    #made
                )
            }
        }
    }
}

/// The names that the runtime has for a kind of job.
struct Entry {
    function: Ident,
    /// The one for a body with a parameter.
    with_context: Ident,
    options: Ident,
    /// What each captured value is checked by.
    check: &'static str,
    moves: bool,
}

impl Entry {
    fn of(host: &Host) -> Self {
        let (function, with_context, options, check, moves) = match host {
            Host::Thread => (
                "thread_job",
                "thread_job_emitting",
                "JobOptions",
                "send",
                true,
            ),
            Host::Process => (
                "process_job",
                "process_job_emitting",
                "ProcessJobOptions",
                "serial",
                false,
            ),
            Host::Cluster(_) => (
                "cluster_job",
                "cluster_job_emitting",
                "ClusterJobOptions",
                "serial",
                false,
            ),
            Host::Runspace(_) => ("invoke", "invoke_with_state", "InvokeOptions", "send", true),
        };
        Self {
            function: format_ident!("{function}"),
            with_context: format_ident!("{with_context}"),
            options: format_ident!("{options}"),
            check,
            moves,
        }
    }
}
