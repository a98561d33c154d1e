use proc_macro2::{Group, TokenStream, TokenTree};
use quote::quote;

use super::{Clauses, clauses, synchronous};
use crate::error::Errors;
use crate::model::{Body, Call, Capture, Closure, CratePath, Host, Init, Job, JobBody, Setting};
use crate::parse::Form;

pub(crate) fn thread_job(call: Call, errors: &mut Errors) -> Option<Job> {
    job(call, Form::ThreadJob, Host::Thread, errors)
}

pub(crate) fn invocation(mut call: Call, errors: &mut Errors) -> Option<Job> {
    let target = call.subject.take()?;
    job(call, Form::Invoke, Host::Runspace(target), errors)
}

fn job(call: Call, form: Form, host: Host, errors: &mut Errors) -> Option<Job> {
    let Clauses {
        settings,
        inits,
        captures,
        ..
    } = clauses(call.clauses, &call.used, form, errors);
    let parts = Parts {
        krate: call.krate,
        host,
        settings,
        captures,
        inits,
    };
    parts.with(call.body, form, errors)
}

/// A job without its body.
pub(super) struct Parts {
    pub(super) krate: CratePath,
    pub(super) host: Host,
    pub(super) settings: Vec<Setting>,
    pub(super) captures: Vec<Capture>,
    pub(super) inits: Vec<Init>,
}

impl Parts {
    pub(super) fn with(self, body: Body, form: Form, errors: &mut Errors) -> Option<Job> {
        no_inits(&self.inits, form, errors);
        let body = match body {
            Body::Closure(closure) => job_closure(closure, form, errors)?,
            // What follows from this mistake is not to be reported inside of the block.
            Body::Block(block) => JobBody::Block(with_inits(self.inits, block)),
            Body::Named(_) | Body::Nothing => return None,
        };
        Some(Job {
            krate: self.krate,
            host: self.host,
            settings: self.settings,
            captures: self.captures,
            body,
        })
    }
}

pub(super) fn no_inits(inits: &[Init], form: Form, errors: &mut Errors) {
    for init in inits {
        errors.push(
            init.name.span(),
            format_args!(
                "`init` is for workers, and {} has none; write `let mut {} = ..;` in the body",
                form.noun(),
                init.name
            ),
        );
    }
}

/// The block, with variables in front of its statements.
fn with_inits(inits: Vec<Init>, block: TokenStream) -> TokenStream {
    let mut trees = block.into_iter();
    match trees.next() {
        Some(TokenTree::Group(group)) if !inits.is_empty() => {
            let (names, values) = (
                inits.iter().map(|i| &i.name),
                inits.iter().map(|i| &i.value),
            );
            let statements = group.stream();
            let statements = quote!(#(#[allow(unused_mut)] let mut #names = #values;)* #statements);
            let mut block = Group::new(group.delimiter(), statements);
            block.set_span(group.span_open());
            TokenTree::Group(block).into()
        }
        first => first.into_iter().chain(trees).collect(),
    }
}

fn job_closure(body: Closure, form: Form, errors: &mut Errors) -> Option<JobBody> {
    synchronous(&body, errors)?;
    let noun = form.noun();
    match body.header.count {
        1 => Some(JobBody::Closure(body)),
        0 => {
            let what = match form {
                Form::Invoke => "an invocation without state",
                _ => "a job of one value",
            };
            errors.push(
                body.header.open.span(),
                format_args!("{what} is a block; write `{{ .. }}` without the `||`"),
            );
            let value = body.body;
            Some(JobBody::Block(quote!({ #value })))
        }
        _ => {
            let takes = match form {
                Form::Invoke => "the runspace it runs in; write `|rs|`",
                _ => "the job to emit through; write `|job|`",
            };
            errors.push_spanned(
                &body.header.parameters,
                format_args!("the closure of {noun} takes {takes}"),
            );
            None
        }
    }
}
