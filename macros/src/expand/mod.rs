//! From what a call means to the code for it. Nothing in here fails.
//!
//! What the user wrote appears once and with its own place in the source. The names made up here
//! cannot be seen from it.

mod attribute;
mod foreach;
mod job;
mod pipeline;
mod process;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

pub(crate) use self::attribute::{entered, main};
pub(crate) use self::foreach::foreach;
pub(crate) use self::job::job;
pub(crate) use self::pipeline::pipeline;
pub(crate) use self::process::process_job;

use crate::model::{Capture, Closure, CratePath, Setting};

/// `.throttle(4).ordered(true)`. The method is the user's own word, so an editor shows its
/// documentation there.
fn setters(settings: &[Setting]) -> TokenStream {
    let setters = settings.iter().map(|Setting { name, value }| {
        let arguments = parenthesised(value.clone(), first_span(value));
        quote!(.#name #arguments)
    });
    setters.collect()
}

/// The call that checks a captured value, `capture(value)` or `send()(value)`, at the place of its
/// name.
fn checked(
    krate: &CratePath,
    function: &str,
    capture: &Capture,
    value: TokenStream,
) -> TokenStream {
    let here = first_span(krate).located_at(capture.name.span());
    let path = at(krate, here);
    let made = matches!(function, "send" | "serial" | "portable");
    let made = made.then(|| parenthesised(TokenStream::new(), here));
    let function = Ident::new(function, here);
    let value = parenthesised(value, here);
    quote_spanned!(here=> #path::__private::#function #made #value)
}

/// What stands for the type of what the body makes, at the body.
fn made(krate: &CratePath, from: Span, to: Span) -> TokenStream {
    let first = first_span(krate);
    let (from, to) = (first.located_at(from), first.located_at(to));
    let path = at(krate, from);
    let function = Ident::new("made", to);
    let nothing = parenthesised(TokenStream::new(), to);
    quote_spanned!(from=> #path::__private::#function #nothing)
}

/// The same at a closure.
fn made_by(krate: &CratePath, body: &Closure) -> TokenStream {
    made(krate, body.header.open.span(), last_span(&body.body))
}

/// The same at the statements of a block.
fn made_in(krate: &CratePath, block: &TokenStream) -> TokenStream {
    let statements = match block.clone().into_iter().next() {
        Some(TokenTree::Group(group)) if !group.stream().is_empty() => group.stream(),
        _ => block.clone(),
    };
    made(krate, first_span(&statements), last_span(&statements))
}

/// The tokens, all of them at one place.
fn at(tokens: &TokenStream, here: Span) -> TokenStream {
    let place = |mut tree: TokenTree| {
        tree.set_span(here);
        tree
    };
    tokens.clone().into_iter().map(place).collect()
}

/// An expression for a value of the type that `reference` refers to, which leaves the value where
/// it is. It is for a call with a mistake in it, which is compiled and never run.
fn stand_in(reference: impl ToTokens) -> TokenStream {
    quote!({
        fn stand_in<T>(_: &T) -> T {
            loop {}
        }
        stand_in(#reference)
    })
}

/// `()`, `(a, ())`, `(a, (b, ()))`: pairs, of which a trait can speak without end.
fn tuple(elements: impl DoubleEndedIterator<Item = TokenStream>) -> TokenStream {
    elements.rfold(quote!(()), |rest, element| quote!((#element, #rest)))
}

fn parenthesised(tokens: TokenStream, span: Span) -> TokenTree {
    let mut group = Group::new(Delimiter::Parenthesis, tokens);
    group.set_span(span);
    TokenTree::Group(group)
}

/// Where the first token begins.
fn first_span(tokens: &TokenStream) -> Span {
    match tokens.clone().into_iter().next() {
        Some(TokenTree::Group(group)) => group.span_open(),
        Some(tree) => tree.span(),
        None => Span::call_site(),
    }
}

/// Where the last token ends.
fn last_span(tokens: &TokenStream) -> Span {
    match tokens.clone().into_iter().last() {
        Some(TokenTree::Group(group)) => group.span_close(),
        Some(tree) => tree.span(),
        None => Span::call_site(),
    }
}
