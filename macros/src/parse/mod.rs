//! From tokens to a `Call`.
//!
//! Only the clauses are read. What stands for an expression is kept as the tokens it was written
//! with: syn is asked where it ends and no more, and where syn cannot tell (code that is being
//! typed) the next comma does. The body is not even asked about.

pub(crate) mod attribute;
mod capture;
mod clauses;
mod closure;
mod form;
mod fragment;
mod named;
mod pipeline;
mod tokens;
mod using;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};

use self::clauses::{begin_of_body, clauses, missing, misspelled_list, separator};
use self::form::Subject;
use self::fragment::visible;
use self::tokens::Tokens;
use crate::error::Errors;
use crate::model::{Body, Call, CratePath};

pub(crate) use self::capture::is_borrow;
pub(crate) use self::form::Form;
pub(crate) use self::pipeline::pipeline;

/// Reads `$crate, SUBJECT, CLAUSES.., BODY`: a loop over its items, or an invocation in a runspace.
pub(crate) fn call_on(form: Form, input: TokenStream, errors: &mut Errors) -> Option<Call> {
    let trees = visible(input);
    let (krate, mut rest) = crate_path(&trees);
    nonempty(rest, form, errors)?;
    let subject = subject(&mut rest, form, errors)?;
    let (clauses, body, used) = clauses(&mut rest, last_span(&trees), form, errors)?;
    Some(Call {
        krate,
        subject: Some(subject),
        clauses,
        body,
        used,
    })
}

/// Reads `$crate, CLAUSES.., BLOCK`, `$crate, CLAUSES.., CLOSURE` or `$crate, STATEMENTS`; and
/// what else a job may be.
pub(crate) fn job(form: Form, input: TokenStream, errors: &mut Errors) -> Option<Call> {
    let trees = visible(input);
    let (krate, mut rest) = crate_path(&trees);
    nonempty(rest, form, errors)?;
    let (clauses, body, used) = if is_call(rest, form) {
        clauses(&mut rest, last_span(&trees), form, errors)?
    } else {
        let (statements, used) = using::rewrite(rest.to_stream(), errors);
        (Vec::new(), Body::Block(braced(statements)), used)
    };
    Some(Call {
        krate,
        subject: None,
        clauses,
        body,
        used,
    })
}

/// Where the last token ends.
fn last_span(trees: &[TokenTree]) -> Span {
    match trees.last() {
        Some(TokenTree::Group(group)) => group.span_close(),
        Some(tree) => tree.span(),
        None => Span::call_site(),
    }
}

fn nonempty(rest: Tokens<'_>, form: Form, errors: &mut Errors) -> Option<()> {
    if rest.is_empty() {
        errors.push(
            Span::call_site(),
            format_args!("nothing to run; write `{}`", form.example()),
        );
        return None;
    }
    Some(())
}

/// The tokens, without the invisible brackets of a `$value:expr`.
fn ungrouped(tokens: &TokenStream) -> Vec<TokenTree> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    match trees.as_slice() {
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::None => {
            ungrouped(&group.stream())
        }
        _ => trees,
    }
}

fn crate_path(trees: &[TokenTree]) -> (CratePath, Tokens<'_>) {
    let mut rest = Tokens::new(trees);
    let krate = rest.take_while(|rest| !rest.at_punct(','));
    rest.eat_punct(',');
    (krate.to_stream(), rest)
}

/// `{ STATEMENTS }`, standing where the statements do.
fn braced(statements: TokenStream) -> TokenStream {
    let last = statements.clone().into_iter().last();
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(last.map_or_else(Span::call_site, |tree| tree.span()));
    TokenTree::Group(block).into()
}

/// Whether a job's tokens are clauses and a body, and not the statements of a body.
///
/// Statements never hold a comma where a clause ends with one, and do not begin with a closure.
fn is_call(rest: Tokens<'_>, form: Form) -> bool {
    if closure::starts(rest) || named::starts(rest, form) {
        return true;
    }
    if let Some((_, after)) = rest.group(Delimiter::Brace) {
        return after.is_empty() || after.at_punct(',');
    }
    let Some((name, mut after)) = rest.ident() else {
        return false;
    };
    if after.at_punct(',') || after.at_colon() {
        return true;
    }
    if after.at_assignment() {
        after.advance();
        after.expression();
        return after.at_punct(',') || form.is_option(&name) && !after.at_punct(';');
    }
    match after.any_group() {
        // `using(a); next()` calls a function of that name.
        Some((_, end)) if end.at_punct(',') && misspelled_list(&name, after, form).is_some() => {
            true
        }
        Some((_, after)) if name == "using" || name == "init" => {
            after.is_empty()
                || after.at_punct(',')
                || closure::starts(after)
                || after.group(Delimiter::Brace).is_some()
        }
        _ => false,
    }
}

/// Reads what stands in front of the clauses, and the comma after it.
fn subject(rest: &mut Tokens<'_>, form: Form, errors: &mut Errors) -> Option<TokenStream> {
    let Subject { comes, is, it } = form.subject();
    let example = form.example();
    let is_block = |rest: Tokens<'_>| {
        let block = rest.group(Delimiter::Brace);
        form == Form::Invoke
            && block.is_some_and(|(_, mut after)| {
                after.eat_punct(',');
                after.is_empty()
            })
    };
    if closure::starts(*rest) || is_block(*rest) {
        errors.push(
            rest.span(),
            format_args!("{comes} first; write `{example}`"),
        );
        return None;
    }
    if form.is_loop() && rest.ident().is_some_and(|(word, _)| word == "for") {
        errors.push(
            rest.span(),
            "`for x in items { .. }` is not the form of a call; write `items, |x| { .. }`",
        );
        return None;
    }
    // `throttle = 4, |x| ..`, `using(a), |x| ..`: the call began with its second part.
    if let Some((name, after)) = rest.ident() {
        let clause = form.is_option(&name) && after.at_assignment()
            || (name == "using" || name == "init") && after.group(Delimiter::Parenthesis).is_some();
        if clause {
            errors.push(
                name.span(),
                format_args!("{comes} first; write {it} in front of `{name}`"),
            );
            return None;
        }
    }
    let mut subject = rest.expression();
    let word = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "in");
    if form.is_loop()
        && let Some(at) = subject.trees().iter().position(word)
    {
        let pattern = subject.take(at).to_stream();
        errors.push(
            subject.span(),
            format_args!("the closure names the item; write `items, |{pattern}| ..`"),
        );
        subject.advance();
    }
    if subject.is_empty() {
        errors.push(rest.span(), format_args!("{is} missing; write `{example}`"));
        return None;
    }
    let subject = subject.to_stream();
    if rest.is_empty()
        && let Some(begin) = begin_of_body(&subject, form == Form::Invoke)
    {
        missing(Some(begin), begin, form, errors);
        return None;
    }
    separator(rest, errors);
    Some(subject)
}
