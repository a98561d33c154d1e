//! `$using:name`, the second spelling of a capture.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};
use quote::quote;

use super::fragment::visible;
use super::tokens::Tokens;
use crate::error::Errors;

/// Turns each `$using:name` into `name`, however deep it stands, and answers the names.
pub(super) fn rewrite(body: TokenStream, errors: &mut Errors) -> (TokenStream, Vec<Ident>) {
    let mut names = Vec::new();
    // Most bodies have none, and are handed on as they came.
    if !has_dollar(&body, Where::Body) {
        return (body, names);
    }
    let body = walk(body, Where::Body, &mut names, errors);
    (body, names)
}

/// Where tokens stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    Body,
    /// In the parentheses of a macro that formats: its string may name variables.
    Format,
}

impl Where {
    /// Of what stands in the group after `before`.
    fn after(before: &[TokenTree]) -> Self {
        match before {
            [.., TokenTree::Ident(name), TokenTree::Punct(bang)]
                if bang.as_char() == '!' && FORMATTING.contains(&name.to_string().as_str()) =>
            {
                Where::Format
            }
            _ => Where::Body,
        }
    }
}

const FORMATTING: &[&str] = &[
    "anyhow",
    "assert",
    "assert_eq",
    "assert_ne",
    "bail",
    "debug",
    "ensure",
    "eprint",
    "eprintln",
    "error",
    "format",
    "format_args",
    "info",
    "panic",
    "print",
    "println",
    "todo",
    "trace",
    "unimplemented",
    "unreachable",
    "warn",
    "write",
    "writeln",
];

/// How a string begins to name a captured variable that it cannot name.
const IN_STRING: &str = "{$using:";

fn has_dollar(tokens: &TokenStream, place: Where) -> bool {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut trees = trees
        .iter()
        .enumerate()
        .map(|(at, tree)| (&trees[..at], tree));
    trees.any(|(before, tree)| match tree {
        TokenTree::Punct(punct) => punct.as_char() == '$',
        TokenTree::Group(group) => has_dollar(&group.stream(), Where::after(before)),
        TokenTree::Literal(literal) => {
            place == Where::Format && in_string(&literal.to_string()).is_some()
        }
        TokenTree::Ident(_) => false,
    })
}

fn walk(
    tokens: TokenStream,
    place: Where,
    names: &mut Vec<Ident>,
    errors: &mut Errors,
) -> TokenStream {
    let trees = visible(tokens);
    let mut rest = Tokens::new(&trees);
    let mut rewritten = TokenStream::new();
    while let Some(tree) = rest.first() {
        if starts(rest) {
            rewritten.extend(name(&mut rest, names, errors));
            continue;
        }
        let inside = Where::after(&trees[..trees.len() - rest.trees().len()]);
        rest.advance();
        rewritten.extend([match tree {
            TokenTree::Literal(literal) if place == Where::Format => {
                TokenTree::Literal(string(literal, names, errors))
            }
            TokenTree::Group(group) if has_dollar(&group.stream(), inside) => {
                let inner = walk(group.stream(), inside, names, errors);
                let mut walked = Group::new(group.delimiter(), inner);
                walked.set_span(group.span());
                TokenTree::Group(walked)
            }
            tree => tree.clone(),
        }]);
    }
    rewritten
}

/// Where the next `$using:` stands in a string that is formatted, as the name of what is put there.
/// `{{` is a brace that is printed.
fn in_string(text: &str) -> Option<usize> {
    let mut places = text.match_indices(IN_STRING).map(|(at, _)| at + 1);
    places.find(|&at| {
        let braces = text[..at].len() - text[..at].trim_end_matches('{').len();
        braces % 2 == 1
    })
}

/// A string that is formatted, with each `{$using:name}` in it as `{name}`.
fn string(literal: &Literal, names: &mut Vec<Ident>, errors: &mut Errors) -> Literal {
    let mut text = literal.to_string();
    let mut found = Vec::new();
    while let Some(at) = in_string(&text) {
        text.replace_range(at..at + IN_STRING.len() - 1, "");
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let Ok(mut name) = syn::parse_str::<Ident>(&rest[..end.unwrap_or(rest.len())]) else {
            return literal.clone();
        };
        name.set_span(literal.span());
        found.push(name);
    }
    let (Some(name), Ok(mut plain)) = (found.first(), Literal::from_str(&text)) else {
        return literal.clone();
    };
    errors.push(
        literal.span(),
        format_args!(
            "`$using:{name}` cannot stand inside of a string; write `{{{name}}}` here and \
             `using({name})` in front of the body"
        ),
    );
    plain.set_span(literal.span());
    found.into_iter().for_each(|name| add(name, names));
    plain
}

fn add(name: Ident, names: &mut Vec<Ident>) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Whether `$using` stands here.
fn starts(mut rest: Tokens<'_>) -> bool {
    rest.eat_punct('$') && rest.ident().is_some_and(|(word, _)| word == "using")
}

/// Takes `$using:name` and answers what to put in its place.
fn name(rest: &mut Tokens<'_>, names: &mut Vec<Ident>, errors: &mut Errors) -> TokenStream {
    let written = rest.take(2).to_stream();
    let mut after = *rest;
    let no_colon = "`$using` takes its name after a colon; write `$using:name`";
    let (name, message) = if rest.at_colon() {
        after.advance();
        let message = "`$using:` is not followed by a name; write one";
        (after.ident(), message)
    } else {
        // `$using(name)` can be read all the same.
        let inner = rest.group(Delimiter::Parenthesis);
        let name = inner.and_then(|(inner, after)| Some((syn::parse2(inner).ok()?, after)));
        if name.is_some() {
            errors.push_spanned(&written, no_colon);
        }
        (name, no_colon)
    };
    let Some((name, after)) = name else {
        if rest.at_colon() {
            rest.advance();
        }
        // In the place of the value, so that rustc has nothing to add about the value.
        let error = syn::Error::new_spanned(written, message).into_compile_error();
        return quote!((#error));
    };
    *rest = after;
    if name == "self" {
        errors.push(
            name.span(),
            "`self` cannot keep its name; write `using(this = self)`, and `this` in the body",
        );
    } else {
        add(name.clone(), names);
    }
    quote!(#name)
}
