//! Errors are collected, not returned: one run of the compiler shows all of them.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

/// The mistakes found in one call.
#[derive(Default)]
#[must_use = "a call whose errors are forgotten compiles"]
pub(crate) struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    /// A mistake at one place.
    pub(crate) fn push(&mut self, at: Span, message: impl Display) {
        self.found.push(syn::Error::new(at, message));
    }

    /// A mistake that spans all of `tokens`.
    pub(crate) fn push_spanned(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.found.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What the item becomes that an attribute stands on: `item` as it was written or as it is
    /// meant, after a `compile_error!` for each mistake.
    pub(crate) fn finish_item(self, item: TokenStream) -> TokenStream {
        let errors = self.found.iter().map(syn::Error::to_compile_error);
        quote!(#(#errors)* #item)
    }

    /// What the call becomes: its expansion, after a `compile_error!` for each mistake.
    ///
    /// With no expansion to show, the last error stands in the place of the value. It has the type
    /// that diverges, so rustc has nothing to add about the value's type or its use.
    pub(crate) fn finish(self, expansion: Option<TokenStream>) -> TokenStream {
        let errors = self.found.iter().map(syn::Error::to_compile_error);
        match (self.found.len(), expansion) {
            (0, Some(expansion)) => expansion,
            (0, None) => unreachable!("a call that has no expansion has an error"),
            (1, None) => errors.collect(),
            (_, expansion) => quote!({ #(#errors)* #expansion }),
        }
    }
}

/// The known word closest to `word`, if it is close enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, nearest) = known
        .iter()
        .map(|name| (distance(word, name), *name))
        .min()?;
    let longer = |a: &str, b: &str| a.len() >= 4 && b.starts_with(a);
    if distance <= 1 + nearest.len() / 4 {
        return Some(nearest);
    }
    known
        .iter()
        .copied()
        .find(|name| longer(name, word) || longer(word, name))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `a`, `b` and `c`, in backticks.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// An expression as one writes it: tokens print with more space than that.
pub(crate) fn shown(expression: &TokenStream) -> String {
    let text = expression.to_string();
    let text = text.replace("! [", "![").replace("! (", "!(");
    let prefix = text.len() - text.trim_start_matches(['&', '*', ' ']).len();
    text[..prefix].replace(' ', "") + &text[prefix..]
}
