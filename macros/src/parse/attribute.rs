//! `#[job]` and `#[main]`: their arguments, and the header of the function that they stand on.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, LitStr, Path, Signature, Visibility};

use super::tokens::Tokens;
use crate::error::{Errors, list, nearest};
use crate::model::CratePath;

/// What stands in the parentheses of an attribute.
pub(crate) struct Arguments {
    pub(crate) krate: CratePath,
    pub(crate) name: Option<LitStr>,
}

/// A function of which the body was not read.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// All that stands in front of the block.
    pub(crate) head: TokenStream,
    pub(crate) block: Group,
}

/// Reads `crate = path` and, where `options` has it, `name = "name"`.
pub(crate) fn arguments(input: TokenStream, options: &[&str], errors: &mut Errors) -> Arguments {
    let mut found = Arguments {
        krate: quote!(::runspace),
        name: None,
    };
    let trees: Vec<TokenTree> = input.into_iter().collect();
    let mut rest = Tokens::new(&trees);
    let mut seen: Vec<Ident> = Vec::new();
    while !rest.is_empty() {
        let mut entry = rest.take_while(|rest| !rest.at_punct(','));
        rest.eat_punct(',');
        let whole = entry.to_stream();
        let assigned = entry.ident().filter(|(_, after)| after.at_assignment());
        let Some((option, value)) = assigned else {
            errors.push_spanned(&whole, expected(options));
            continue;
        };
        entry = value;
        entry.advance();
        if seen.contains(&option) {
            errors.push(
                option.span(),
                format_args!("`{option}` is given twice; keep one of the two"),
            );
            continue;
        }
        let value = entry.to_stream();
        match option.to_string().as_str() {
            "crate" => match path(value) {
                Some(path) => found.krate = path,
                None => errors.push_spanned(
                    &whole,
                    "`crate` is the path of this crate; write it like `crate = ::runspace`",
                ),
            },
            "name" if options.contains(&"name") => match syn::parse2::<LitStr>(value) {
                Ok(name) => found.name = Some(name),
                Err(_) => errors.push_spanned(
                    &whole,
                    "the name of a job is a literal; write it like `name = \"resize\"`",
                ),
            },
            word => errors.push(option.span(), unknown(word, options)),
        }
        seen.push(option);
    }
    found
}

fn expected(options: &[&str]) -> String {
    match options {
        ["crate"] => "expected `crate = path` here".into(),
        _ => "expected `name = \"name\"` or `crate = path` here".into(),
    }
}

fn unknown(word: &str, options: &[&str]) -> String {
    let (listed, is) = (list(options), if options.len() == 1 { "is" } else { "are" });
    let noun = if options.len() == 1 {
        "option"
    } else {
        "options"
    };
    match nearest(word, options) {
        Some(nearest) => format!("no option `{word}`; write `{nearest}`"),
        None => format!("no option `{word}`; the {noun} here {is} {listed}"),
    }
}

/// A path, as such or in a literal.
fn path(value: TokenStream) -> Option<TokenStream> {
    let path = match syn::parse2::<LitStr>(value.clone()) {
        Ok(literal) => literal.parse_with(Path::parse_mod_style).ok()?,
        Err(_) => Path::parse_mod_style.parse2(value).ok()?,
    };
    Some(path.into_token_stream())
}

/// Reads the item that the attribute `name` stands on.
pub(crate) fn function(name: &str, item: &TokenStream, errors: &mut Errors) -> Option<Function> {
    let header = |input: ParseStream<'_>| {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        let signature: Signature = input.parse()?;
        let rest: TokenStream = input.parse()?;
        Ok((attributes, visibility, signature, rest))
    };
    let block = |rest: TokenStream| match rest.into_iter().next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    };
    if let Ok((attributes, visibility, signature, rest)) = header.parse2(item.clone())
        && let Some(block) = block(rest)
    {
        let mut head: Vec<TokenTree> = item.clone().into_iter().collect();
        head.pop();
        return Some(Function {
            attributes,
            visibility,
            signature,
            head: head.into_iter().collect(),
            block,
        });
    }
    let example = match name {
        "main" => "fn main() { .. }",
        _ => "fn name(value: Type) -> Type { .. }",
    };
    errors.push(
        Span::call_site(),
        format_args!("`#[{name}]` stands on a function with a body; write it above `{example}`"),
    );
    None
}

/// The attributes that come first inside of the block, `#![..]`, and the rest.
pub(crate) fn inner_attributes(block: &Group) -> (TokenStream, TokenStream) {
    let trees: Vec<TokenTree> = block.stream().into_iter().collect();
    let mut rest = Tokens::new(&trees);
    let mut first = TokenStream::new();
    while let [
        TokenTree::Punct(hash),
        TokenTree::Punct(bang),
        TokenTree::Group(_),
        ..,
    ] = rest.trees()
        && hash.as_char() == '#'
        && bang.as_char() == '!'
    {
        first.extend(rest.take(3).to_stream());
    }
    (first, rest.to_stream())
}
