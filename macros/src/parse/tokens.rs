//! A place in a list of tokens.

use proc_macro2::{Delimiter, Ident, Spacing, Span, TokenStream, TokenTree};
use syn::Expr;

/// The tokens from here on.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    trees: &'a [TokenTree],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(trees: &'a [TokenTree]) -> Self {
        Tokens { trees }
    }

    pub(super) fn is_empty(self) -> bool {
        self.trees.is_empty()
    }

    pub(super) fn trees(self) -> &'a [TokenTree] {
        self.trees
    }

    pub(super) fn first(self) -> Option<&'a TokenTree> {
        self.trees.first()
    }

    pub(super) fn to_stream(self) -> TokenStream {
        self.trees.iter().cloned().collect()
    }

    /// Where the next token is; the whole call if there is none.
    pub(super) fn span(self) -> Span {
        self.first().map_or_else(Span::call_site, TokenTree::span)
    }

    pub(super) fn advance(&mut self) {
        self.trees = self.trees.get(1..).unwrap_or_default();
    }

    /// Takes the first `count` tokens.
    pub(super) fn take(&mut self, count: usize) -> Tokens<'a> {
        let (taken, rest) = self.trees.split_at(count);
        self.trees = rest;
        Tokens::new(taken)
    }

    pub(super) fn take_while(&mut self, goes_on: impl Fn(Tokens<'a>) -> bool) -> Tokens<'a> {
        let trees = self.trees;
        let more = |&at: &usize| at < trees.len() && goes_on(Tokens::new(&trees[at..]));
        let count = (0..).take_while(more).count();
        self.take(count)
    }

    pub(super) fn at_punct(self, char: char) -> bool {
        self.first().is_some_and(|tree| is_punct(tree, char))
    }

    pub(super) fn eat_punct(&mut self, char: char) -> bool {
        let found = self.at_punct(char);
        if found {
            self.advance();
        }
        found
    }

    /// `=`, and not the first half of `==` or `=>`.
    pub(super) fn at_assignment(self) -> bool {
        self.at_punct('=') && !self.is_joint_with(&['=', '>'])
    }

    /// `:`, and not the first half of `::`.
    pub(super) fn at_colon(self) -> bool {
        self.at_punct(':') && !self.is_joint_with(&[':'])
    }

    /// `=>`
    pub(super) fn at_arrow(self) -> bool {
        self.at_punct('=') && self.is_joint_with(&['>'])
    }

    fn is_joint_with(self, next: &[char]) -> bool {
        match self.trees {
            [TokenTree::Punct(punct), second, ..] => {
                punct.spacing() == Spacing::Joint && next.iter().any(|&char| is_punct(second, char))
            }
            _ => false,
        }
    }

    pub(super) fn ident(self) -> Option<(Ident, Tokens<'a>)> {
        match self.trees.split_first()? {
            (TokenTree::Ident(ident), rest) => Some((ident.clone(), Tokens::new(rest))),
            _ => None,
        }
    }

    /// What a group with this delimiter holds, and what follows it.
    pub(super) fn group(self, delimiter: Delimiter) -> Option<(TokenStream, Tokens<'a>)> {
        match self.trees.split_first()? {
            (TokenTree::Group(group), rest) if group.delimiter() == delimiter => {
                Some((group.stream(), Tokens::new(rest)))
            }
            _ => None,
        }
    }

    pub(super) fn any_group(self) -> Option<(TokenStream, Tokens<'a>)> {
        [Delimiter::Parenthesis, Delimiter::Bracket, Delimiter::Brace]
            .into_iter()
            .find_map(|delimiter| self.group(delimiter))
    }

    /// Takes an expression: up to the first comma at which what was taken is one. Where none is
    /// (code that is being typed), up to the first comma.
    pub(super) fn expression(&mut self) -> Tokens<'a> {
        let trees = self.trees;
        let mut first = None;
        for at in 0..=trees.len() {
            let here = Tokens::new(&trees[at..]);
            // No expression goes on after these, save inside of brackets.
            let stops = here.is_empty() || here.at_punct(';') || here.at_arrow();
            if !stops && !here.at_punct(',') {
                continue;
            }
            if at == 0 || is_expression(&trees[..at]) {
                return self.take(at);
            }
            first.get_or_insert(at);
            if stops {
                break;
            }
        }
        self.take(first.unwrap_or(trees.len()))
    }

    /// Takes an expression, or one token where there is none, so that reading always goes on.
    pub(super) fn expression_or_tree(&mut self) -> TokenStream {
        let taken = self.expression();
        if taken.is_empty() {
            return self.take(1).to_stream();
        }
        taken.to_stream()
    }
}

fn is_expression(trees: &[TokenTree]) -> bool {
    syn::parse2::<Expr>(Tokens::new(trees).to_stream()).is_ok()
}

pub(crate) fn is_punct(tree: &TokenTree, char: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == char)
}

/// Where a token is; of a group, where it begins.
pub(crate) fn open_span(tree: &TokenTree) -> Span {
    match tree {
        TokenTree::Group(group) => group.span_open(),
        tree => tree.span(),
    }
}
