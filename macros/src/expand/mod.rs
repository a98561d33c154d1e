//! From what a call means to the code for it. Nothing in here fails.
//!
//! What the user wrote appears once and with its own place in the source. The names made up here
//! cannot be seen from it.

mod attribute;
mod foreach;
mod job;
mod pipeline;
mod process;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

pub(crate) use self::attribute::{entered, main};
pub(crate) use self::foreach::foreach;
pub(crate) use self::job::job;
pub(crate) use self::pipeline::pipeline;
pub(crate) use self::process::process_job;

use crate::model::{Capture, CratePath, Setting};

/// `.throttle(4).ordered(true)`. The method is the user's own word, so an editor shows its
/// documentation there.
fn setters(settings: &[Setting]) -> TokenStream {
    let setters = settings.iter().map(|Setting { name, value }| {
        let arguments = parenthesised(value.clone(), first_span(value));
        quote!(.#name #arguments)
    });
    setters.collect()
}

/// The call that checks a captured value, `capture(value)`, at the place of its name.
fn checked(
    krate: &CratePath,
    function: &str,
    capture: &Capture,
    value: TokenStream,
) -> TokenStream {
    let span = capture.name.span();
    let function = proc_macro2::Ident::new(function, span);
    let value = parenthesised(value, span);
    quote_spanned!(span=> #krate::__private::#function #value)
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

/// `()`, `(a,)`, `(a, b,)`
fn tuple(elements: impl Iterator<Item = TokenStream>) -> TokenStream {
    quote!((#(#elements,)*))
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
