//! The header of the closure that is a call's body, and where the body ends.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::Form;
use super::tokens::{Tokens, is_punct};
use crate::error::Errors;
use crate::model::{Closure, Header};

/// Whether a closure begins here.
pub(super) fn starts(mut rest: Tokens<'_>) -> bool {
    attributes(&mut rest);
    while let Some((word, after)) = rest.ident() {
        if word != "move" && word != "async" && word != "static" {
            return false;
        }
        rest = after;
    }
    rest.at_punct('|')
}

/// Takes a closure where one begins. What remains are the clauses wrongly put after it.
pub(super) fn closure(rest: &mut Tokens<'_>, form: Form, errors: &mut Errors) -> Option<Closure> {
    let attributes = attributes(rest);
    let mut asynchronous = None;
    let mut moves = None;
    while let Some((word, after)) = rest.ident() {
        if word == "move" {
            moves = Some(word);
        } else if word == "async" {
            asynchronous = Some(word);
        }
        *rest = after;
    }
    let header = header(rest, errors)?;
    let body = rest.take(body_end(*rest, form));
    rest.eat_punct(',');
    if body.is_empty() {
        errors.push(
            header.close.span(),
            "the closure has no body; write one after this, `|item| { .. }`",
        );
        return None;
    }
    Some(Closure {
        attributes,
        asynchronous,
        moves,
        header,
        body: body.to_stream(),
    })
}

fn attributes(rest: &mut Tokens<'_>) -> TokenStream {
    let mut attributes = TokenStream::new();
    while let [TokenTree::Punct(hash), TokenTree::Group(group), ..] = rest.trees()
        && hash.as_char() == '#'
        && group.delimiter() == Delimiter::Bracket
    {
        attributes.extend(rest.take(2).to_stream());
    }
    attributes
}

/// Takes `|a, b: Map<K, V>|`. A type or a pattern of a parameter holds no `|` outside of brackets.
fn header(rest: &mut Tokens<'_>, errors: &mut Errors) -> Option<Header> {
    let open = pipe(rest)?;
    let parameters = rest.take_while(|rest| !rest.at_punct('|'));
    let Some(close) = pipe(rest) else {
        errors.push(open.span(), "the `|` that closes the parameters is missing");
        return None;
    };
    Some(Header {
        open,
        parameters: parameters.to_stream(),
        close,
        count: count(parameters),
    })
}

fn pipe(rest: &mut Tokens<'_>) -> Option<proc_macro2::Punct> {
    match rest.first() {
        Some(TokenTree::Punct(punct)) if punct.as_char() == '|' => {
            rest.advance();
            Some(punct.clone())
        }
        _ => None,
    }
}

/// How many parameters there are: the commas outside of `<..>` tell.
fn count(parameters: Tokens<'_>) -> usize {
    let mut count = 0;
    let mut depth = 0;
    let mut begun = false;
    let mut after_dash = false;
    for tree in parameters.trees() {
        if is_punct(tree, ',') && depth == 0 {
            begun = false;
            continue;
        }
        if is_punct(tree, '<') {
            depth += 1;
        } else if is_punct(tree, '>') && !after_dash {
            depth -= 1;
        }
        after_dash = is_punct(tree, '-');
        count += usize::from(!begun);
        begun = true;
    }
    count
}

/// How many tokens the body has.
///
/// A comma ends it that is the last token, that has a clause after it, or that no generic argument
/// or closure can hold, since neither began before it. At any other comma rustc decides.
fn body_end(rest: Tokens<'_>, form: Form) -> usize {
    let trees = rest.trees();
    let mut may_hold_comma = false;
    for (at, tree) in trees.iter().enumerate() {
        may_hold_comma |= is_punct(tree, '<') || is_punct(tree, '|');
        if is_punct(tree, ',') {
            let after = Tokens::new(&trees[at + 1..]);
            if !may_hold_comma || after.is_empty() || is_clause(after, form) {
                return at;
            }
        }
    }
    trees.len()
}

fn is_clause(rest: Tokens<'_>, form: Form) -> bool {
    match rest.ident() {
        Some((name, after)) if name == "using" || name == "init" => {
            after.group(Delimiter::Parenthesis).is_some()
        }
        Some((name, after)) => form.is_option(&name) && (after.at_assignment() || after.at_colon()),
        None => false,
    }
}
