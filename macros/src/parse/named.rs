//! The call of a function that is a job by itself.

use proc_macro2::{Delimiter, Group, Ident, TokenTree};

use super::Form;
use super::capture::is_name;
use super::tokens::{Tokens, is_punct};
use crate::model::NamedCall;

/// Whether a call stands here that is all of a job's body.
pub(super) fn starts(mut rest: Tokens<'_>, form: Form) -> bool {
    form == Form::ProcessJob && call(&mut rest).is_some() && (rest.is_empty() || rest.at_punct(','))
}

/// Takes `path::to::function(..)`.
///
/// Only what can be the path of a job counts. A job is a function that is not generic and stands in
/// a module, so the call of a variant or of a function of a type is an expression like any other.
pub(super) fn call(rest: &mut Tokens<'_>) -> Option<NamedCall> {
    if let Some((name, _)) = rest.ident()
        && (name == "using" || name == "init")
    {
        return None;
    }
    let whole = *rest;
    let mut after = *rest;
    eat_colons(&mut after);
    loop {
        let (segment, next) = after.ident()?;
        if !is_segment(&segment) {
            return None;
        }
        after = next;
        if !eat_colons(&mut after) {
            break;
        }
    }
    let count = whole.trees().len() - after.trees().len();
    let arguments = arguments(&mut after)?;
    *rest = after;
    let mut whole = whole;
    Some(NamedCall {
        path: whole.take(count).to_stream(),
        arguments,
    })
}

fn is_segment(name: &Ident) -> bool {
    let text = name.to_string();
    let keyword = matches!(text.as_str(), "crate" | "self" | "super");
    keyword || is_name(name) && !text.starts_with(char::is_uppercase)
}

fn arguments(rest: &mut Tokens<'_>) -> Option<Group> {
    match rest.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            rest.advance();
            Some(group.clone())
        }
        _ => None,
    }
}

/// Takes `::`.
pub(super) fn eat_colons(rest: &mut Tokens<'_>) -> bool {
    let found = matches!(rest.trees(), [a, b, ..] if is_punct(a, ':') && is_punct(b, ':'));
    if found {
        rest.take(2);
    }
    found
}
