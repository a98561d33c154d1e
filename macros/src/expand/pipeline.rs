use proc_macro2::{Punct, Spacing, Span, TokenStream};
use quote::{quote, quote_spanned};

use super::foreach::{iterated, work};
use super::{first_span, parenthesised};
use crate::model::{Pipeline, Stage, StageKind, Work};

/// ```text
/// foreach(identity(foreach(IntoIterator::into_iter(SOURCE), ..).filter(f)), ..).collect::<T>()
/// ```
///
/// Each stage is a call on what the stage before it answers.
pub(crate) fn pipeline(call: &Pipeline<Work>) -> TokenStream {
    let mut value = iterated(&call.source, first_span(&call.source));
    let mut previous: Option<Span> = None;
    for stage in &call.stages {
        let Stage {
            bar,
            word,
            kind,
            suffix,
        } = stage;
        value = match kind {
            StageKind::Parallel(stage) => {
                let items = match previous {
                    None => value,
                    Some(previous) => standing(value, previous),
                };
                work(stage, &items, Some(word.span()))
            }
            StageKind::Method(call) => {
                let mut dot = Punct::new('.', Spacing::Alone);
                dot.set_span(*bar);
                quote!(#value #dot #word #call)
            }
        };
        value.extend(suffix.clone());
        previous = Some(word.span());
    }
    value
}

/// The value, standing at a single place. That is the last stage that it comes from, where the
/// whole of it would begin at the first.
fn standing(value: TokenStream, at: Span) -> TokenStream {
    let value = parenthesised(value, at);
    quote_spanned!(at=> ::core::convert::identity #value)
}
