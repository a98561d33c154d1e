//! Fragments of a user's `macro_rules!`, made safe to rebuild.
//!
//! `$n:expr` arrives as a group without visible brackets, which keeps `1 + 1` one operand in `x * $n`. rustc drops
//! such a group when a procedural macro rebuilds the list that it stands in
//! (<https://github.com/rust-lang/rust/issues/67062>), and then computes `x * 1 + 1`. So each list that is taken
//! apart here is read through [`visible`], which puts parentheses where the group had a meaning, and opens it where it
//! had none. Groups further inside, such as those in the block of a body, are handed on whole and keep theirs.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::{Expr, Type};

use super::closure;
use super::tokens::{Tokens, is_punct};

/// The tokens, each fragment among them in parentheses or opened.
pub(super) fn visible(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().flat_map(opened).collect()
}

fn opened(tree: TokenTree) -> Vec<TokenTree> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let trees = visible(group.stream());
            match needs_brackets(&trees) {
                true => vec![parenthesised(trees, group.span())],
                false => trees,
            }
        }
        tree => vec![tree],
    }
}

/// Whether an operator beside these tokens could take a part of them for its operand.
fn needs_brackets(trees: &[TokenTree]) -> bool {
    // The closure that is the body of a call, which begins without brackets.
    if trees.len() < 2 || closure::starts(Tokens::new(trees)) || binds_tightest(trees) {
        return false;
    }
    let tokens: TokenStream = trees.iter().cloned().collect();
    if syn::parse2::<Expr>(tokens.clone()).is_ok() {
        return true;
    }
    // `&$t` of `dyn A + B`.
    let is_list = matches!(
        syn::parse2(tokens),
        Ok(Type::TraitObject(_) | Type::ImplTrait(_))
    );
    is_list && trees.iter().any(|tree| is_punct(tree, '+'))
}

/// Whether the tokens are a path, a call, an index, a field, a macro or a chain of those: what no operator
/// outside can take apart.
fn binds_tightest(trees: &[TokenTree]) -> bool {
    let is_word = |word: &Ident| {
        let keyword = [
            "as", "async", "box", "break", "const", "continue", "for", "if", "in", "let", "loop",
            "match", "move", "mut", "ref", "return", "static", "unsafe", "while", "yield",
        ];
        !keyword.iter().any(|it| word == it)
    };
    let is_link = |at: usize, char: char| match char {
        '.' => !trees.get(at + 1).is_none_or(|next| is_punct(next, '.')) && !is_dot(trees, at),
        ':' | '?' => at > 0 || char == ':',
        '!' => at > 0 && matches!(trees.get(at + 1), Some(TokenTree::Group(_))),
        _ => false,
    };
    trees.iter().enumerate().all(|(at, tree)| match tree {
        TokenTree::Ident(word) => is_word(word),
        TokenTree::Literal(_) => true,
        TokenTree::Punct(punct) => is_link(at, punct.as_char()),
        // Braces make a struct of a path, which a condition takes apart.
        TokenTree::Group(group) => group.delimiter() != Delimiter::Brace,
    })
}

/// Whether the token in front of the one at `at` is a dot: `..` is an operator.
fn is_dot(trees: &[TokenTree], at: usize) -> bool {
    at.checked_sub(1)
        .is_some_and(|before| is_punct(&trees[before], '.'))
}

fn parenthesised(trees: Vec<TokenTree>, span: Span) -> TokenTree {
    let mut group = Group::new(Delimiter::Parenthesis, trees.into_iter().collect());
    // Not the user's own brackets, so no lint asks for them to go.
    group.set_span(Span::mixed_site().located_at(span));
    TokenTree::Group(group)
}
