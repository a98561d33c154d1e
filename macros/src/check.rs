//! From a `Call` to what it means.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::{Expr, LitInt};

use crate::error::{Errors, list, nearest};
use crate::model::{
    Body, Call, Capture, Clause, Closure, Entry, Foreach, Init, Job, Kind, Setting,
};
use crate::parse::{FOREACH_OPTIONS, JOB_OPTIONS};

/// The back ends of other versions, by the first word of the option's value.
const LATER_BACK_ENDS: &[&str] = &["rayon", "process", "pool", "cluster", "plan"];

pub(crate) fn foreach(call: Call, errors: &mut Errors) -> Option<Foreach> {
    let items = call.items?;
    let Clauses {
        mut settings,
        inits,
        captures,
        has_using,
    } = clauses(call.clauses, call.used, FOREACH_OPTIONS, errors);
    settings.retain(|setting| match setting.name.to_string().as_str() {
        "throttle" => not_zero(&setting.value, errors),
        "on" => {
            back_end(&setting.value, errors);
            false
        }
        _ => true,
    });
    let within = settings.iter().position(|setting| setting.name == "within");
    let within = within.map(|at| settings.remove(at).value);
    let Body::Closure(body) = call.body else {
        return None;
    };
    let body = item_closure(body, errors)?;
    let borrows = |capture: &Capture| matches!(capture.kind, Kind::Borrowed | Kind::BorrowedMut);
    let entry = match within {
        Some(scope) => Entry::Within(scope),
        None if is_borrow(&items) || captures.iter().any(borrows) => Entry::Borrowed,
        None => Entry::Stream,
    };
    Some(Foreach {
        krate: call.krate,
        entry,
        items,
        settings,
        inits,
        captures,
        owning: has_using || body.moves.is_some(),
        body,
    })
}

pub(crate) fn job(call: Call, errors: &mut Errors) -> Option<Job> {
    let Clauses {
        settings,
        inits,
        captures,
        ..
    } = clauses(call.clauses, call.used, JOB_OPTIONS, errors);
    for init in &inits {
        errors.push(
            init.name.span(),
            format_args!(
                "`init` is for workers, and a job has none; write `let mut {} = ..;` in the body",
                init.name
            ),
        );
    }
    let body = match call.body {
        Body::Closure(closure) => job_closure(closure, errors)?,
        // What follows from this mistake is not to be reported inside of the block.
        Body::Block(block) => Body::Block(with_inits(inits, block)),
    };
    Some(Job {
        krate: call.krate,
        settings,
        captures,
        body,
    })
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

/// The clauses of a call, sorted by kind. Of two that exclude each other the first is kept.
struct Clauses {
    settings: Vec<Setting>,
    inits: Vec<Init>,
    captures: Vec<Capture>,
    has_using: bool,
}

fn clauses(
    clauses: Vec<Clause>,
    used: Vec<Ident>,
    options: &[&str],
    errors: &mut Errors,
) -> Clauses {
    let mut sorted = Clauses {
        settings: Vec::new(),
        inits: Vec::new(),
        captures: Vec::new(),
        has_using: !used.is_empty(),
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
                if known(&setting.name, options, errors)
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
                once(keyword, errors);
                sorted.has_using = true;
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
        let made = sorted.inits.iter().any(|init| init.name == name)
            || sorted.captures.iter().any(|capture| capture.name == name);
        if !made {
            sorted.captures.push(Capture {
                value: quote!(#name),
                name,
                kind: Kind::Owned,
            });
        }
    }
    sorted
}

fn known(name: &Ident, options: &[&str], errors: &mut Errors) -> bool {
    let word = name.to_string();
    if options.contains(&word.as_str()) {
        return true;
    }
    let listed = list(options);
    match nearest(&word, options) {
        Some(nearest) => errors.push(
            name.span(),
            format_args!("no option `{word}`; write `{nearest}` (the options are {listed})"),
        ),
        None => errors.push(
            name.span(),
            format_args!("no option `{word}`; the options are {listed}"),
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

fn not_zero(value: &TokenStream, errors: &mut Errors) -> bool {
    let zero = syn::parse2::<LitInt>(value.clone()).is_ok_and(|n| n.base10_digits() == "0");
    if zero {
        errors.push_spanned(
            value,
            "a throttle of 0 would run nothing; write 1 for one item at a time",
        );
    }
    !zero
}

fn back_end(value: &TokenStream, errors: &mut Errors) {
    let mut trees = value.clone().into_iter();
    let word = match trees.next() {
        Some(TokenTree::Ident(word)) => word.to_string(),
        _ => String::new(),
    };
    if LATER_BACK_ENDS.contains(&word.as_str()) {
        errors.push_spanned(
            value,
            format_args!(
                "`on = {word}` is not in this version; write `on = thread`, or leave it out"
            ),
        );
    } else if word != "thread" || trees.next().is_some() {
        errors.push_spanned(
            value,
            format_args!("no back end `{value}`; write `on = thread`, or leave it out"),
        );
    }
}

/// Whether the expression is `&..`, and not merely begins with one, as `&a - &b` does.
fn is_borrow(items: &TokenStream) -> bool {
    match syn::parse2::<Expr>(items.clone()) {
        Ok(mut expr) => loop {
            expr = match expr {
                Expr::Group(group) => *group.expr,
                Expr::Paren(paren) => *paren.expr,
                expr => return matches!(expr, Expr::Reference(_)),
            };
        },
        Err(_) => {
            let first = items.clone().into_iter().next();
            first.is_some_and(|tree| crate::parse::is_punct(&tree, '&'))
        }
    }
}

fn item_closure(mut body: Closure, errors: &mut Errors) -> Option<Closure> {
    synchronous(&body, errors)?;
    match body.header.count {
        1 | 2 => Some(body),
        0 => {
            errors.push(
                body.header.open.span(),
                "the closure takes the item; write `|item|`, or `|_|` if it has no use for it",
            );
            body.header.parameters = quote!(_);
            body.header.count = 1;
            Some(body)
        }
        _ => {
            errors.push_spanned(
                &body.header.parameters,
                "the closure takes the item, and the job if it emits; write `|item|` or `|item, job|`",
            );
            None
        }
    }
}

fn job_closure(body: Closure, errors: &mut Errors) -> Option<Body> {
    synchronous(&body, errors)?;
    match body.header.count {
        1 => Some(Body::Closure(body)),
        0 => {
            errors.push(
                body.header.open.span(),
                "a job of one value is a block; write `{ .. }` without the `||`",
            );
            let value = body.body;
            Some(Body::Block(quote!({ #value })))
        }
        _ => {
            errors.push_spanned(
                &body.header.parameters,
                "the closure of a job takes the job to emit through; write `|job|`",
            );
            None
        }
    }
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
