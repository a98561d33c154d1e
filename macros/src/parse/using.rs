//! `$using:name`, the second spelling of a capture.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote;

use super::tokens::Tokens;
use crate::error::Errors;

/// Turns each `$using:name` into `name`, however deep it stands, and answers the names.
pub(super) fn rewrite(body: TokenStream, errors: &mut Errors) -> (TokenStream, Vec<Ident>) {
    let mut names = Vec::new();
    // Most bodies have none, and are handed on as they came.
    if !has_dollar(&body) {
        return (body, names);
    }
    let body = walk(body, &mut names, errors);
    (body, names)
}

fn has_dollar(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|tree| match tree {
        TokenTree::Punct(punct) => punct.as_char() == '$',
        TokenTree::Group(group) => has_dollar(&group.stream()),
        _ => false,
    })
}

fn walk(tokens: TokenStream, names: &mut Vec<Ident>, errors: &mut Errors) -> TokenStream {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = Tokens::new(&trees);
    let mut rewritten = TokenStream::new();
    while let Some(tree) = rest.first() {
        if starts(rest) {
            rewritten.extend(name(&mut rest, names, errors));
            continue;
        }
        rest.advance();
        rewritten.extend([match tree {
            TokenTree::Group(group) if has_dollar(&group.stream()) => {
                let inner = walk(group.stream(), names, errors);
                let mut walked = Group::new(group.delimiter(), inner);
                walked.set_span(group.span());
                TokenTree::Group(walked)
            }
            tree => tree.clone(),
        }]);
    }
    rewritten
}

/// Whether `$using` stands here.
fn starts(mut rest: Tokens<'_>) -> bool {
    rest.eat_punct('$') && rest.ident().is_some_and(|(word, _)| word == "using")
}

/// Takes `$using:name` and answers what to put in its place.
fn name(rest: &mut Tokens<'_>, names: &mut Vec<Ident>, errors: &mut Errors) -> TokenStream {
    let written = rest.take(2).to_stream();
    let mut after = *rest;
    let name = if rest.at_colon() {
        after.advance();
        after.ident()
    } else {
        errors.push_spanned(
            &written,
            "`$using` takes its name after a colon; write `$using:name`",
        );
        // `$using(name)` can be read all the same.
        let inner = rest.group(Delimiter::Parenthesis);
        inner.and_then(|(inner, after)| Some((syn::parse2(inner).ok()?, after)))
    };
    let Some((name, after)) = name else {
        if rest.at_colon() {
            errors.push_spanned(&written, "`$using:` is not followed by a name; write one");
        }
        return quote!(::core::unreachable!());
    };
    *rest = after;
    if name == "self" {
        errors.push(
            name.span(),
            "`self` cannot keep its name; write `using(this = self)`, and `this` in the body",
        );
    } else if !names.contains(&name) {
        names.push(name.clone());
    }
    quote!(#name)
}
