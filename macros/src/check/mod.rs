//! From a `Call` to what it means.

mod attribute;
mod foreach;
mod job;
mod pipeline;
mod place;
mod process;

use proc_macro2::Ident;
use quote::quote;

use crate::error::{Errors, list, nearest};
use crate::model::{Capture, Clause, Closure, Init, Kind, Setting};
use crate::parse::Form;

pub(crate) use self::attribute::{entered, main};
pub(crate) use self::foreach::foreach;
pub(crate) use self::job::{invocation, thread_job};
pub(crate) use self::pipeline::pipeline;
pub(crate) use self::process::process_job;

/// The clauses of a call, sorted by kind. Of two that exclude each other the first is kept.
struct Clauses {
    settings: Vec<Setting>,
    inits: Vec<Init>,
    captures: Vec<Capture>,
    /// The word `using`, if there is a clause.
    using: Option<Ident>,
}

fn clauses(clauses: Vec<Clause>, used: &[Ident], form: Form, errors: &mut Errors) -> Clauses {
    let mut sorted = Clauses {
        settings: Vec::new(),
        inits: Vec::new(),
        captures: Vec::new(),
        using: None,
    };
    let mut lists: Vec<Ident> = Vec::new();
    let mut once = |keyword: Ident, errors: &mut Errors| {
        if lists.contains(&keyword) {
            errors.push(
                keyword.span(),
                format_args!("a call has one `{keyword}(..)`; put this list into the first"),
            );
        } else {
            lists.push(keyword);
        }
    };
    for clause in clauses {
        match clause {
            Clause::Setting(setting) => {
                if known(&setting.name, form, errors)
                    && new(
                        &setting.name,
                        sorted.settings.iter().map(|s| &s.name),
                        errors,
                    )
                {
                    sorted.settings.push(setting);
                }
            }
            Clause::Init(keyword, inits) => {
                once(keyword, errors);
                for init in inits {
                    if new(&init.name, sorted.inits.iter().map(|i| &i.name), errors) {
                        sorted.inits.push(init);
                    }
                }
            }
            Clause::Using(keyword, captures) => {
                sorted.using.get_or_insert(keyword.clone());
                once(keyword, errors);
                for capture in captures {
                    if new(
                        &capture.name,
                        sorted.captures.iter().map(|c| &c.name),
                        errors,
                    ) {
                        sorted.captures.push(capture);
                    }
                }
            }
        }
    }
    for name in used {
        let made = sorted.inits.iter().any(|init| init.name == *name)
            || sorted.captures.iter().any(|capture| capture.name == *name);
        if !made {
            sorted.captures.push(Capture {
                value: quote!(#name),
                name: name.clone(),
                kind: Kind::Owned,
            });
        }
    }
    sorted
}

fn known(name: &Ident, form: Form, errors: &mut Errors) -> bool {
    if form.is_option(name) {
        return true;
    }
    let word = name.to_string();
    let options = form.options();
    let listed = list(options);
    let (noun, are) = match options {
        [_] => ("option", "is"),
        _ => ("options", "are"),
    };
    let only = options.len() == 1;
    if let Some(owner) = form.owner_of(&word) {
        errors.push(
            name.span(),
            format_args!("`{word}` is an option of `{owner}`; the {noun} here {are} {listed}"),
        );
        return false;
    }
    match nearest(&word, options) {
        Some(nearest) if only => errors.push(
            name.span(),
            format_args!("no option `{word}`; write `{nearest}`"),
        ),
        Some(nearest) => errors.push(
            name.span(),
            format_args!("no option `{word}`; write `{nearest}` (the {noun} {are} {listed})"),
        ),
        None => errors.push(
            name.span(),
            format_args!("no option `{word}`; the {noun} {are} {listed}"),
        ),
    }
    false
}

fn new<'a>(name: &Ident, mut before: impl Iterator<Item = &'a Ident>, errors: &mut Errors) -> bool {
    let twice = before.any(|earlier| earlier == name);
    if twice {
        errors.push(
            name.span(),
            format_args!("`{name}` is given twice; keep one of the two"),
        );
    }
    !twice
}

fn synchronous(body: &Closure, errors: &mut Errors) -> Option<()> {
    let Some(word) = &body.asynchronous else {
        return Some(());
    };
    errors.push(
        word.span(),
        "the body runs on a thread, where nothing polls a future; drop `async`, and block on the \
         future inside of the body",
    );
    None
}
