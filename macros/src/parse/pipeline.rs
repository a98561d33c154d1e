//! `source | stage | stage`
//!
//! Every `|` outside of brackets ends a part. Those of a stage's closures stand inside of its
//! parentheses, so only the source can have one of its own, and has to be in parentheses then.

use proc_macro2::{Delimiter, Group, Ident, Spacing, Span, TokenStream, TokenTree};

use super::capture::is_name;
use super::clauses::clauses;
use super::fragment::visible;
use super::tokens::{Tokens, is_punct, open_span};
use super::{Form, crate_path, last_span, named, ungrouped};
use crate::error::{Errors, nearest};
use crate::model::{Call, CratePath, Pipeline, Stage, StageKind};

const EXAMPLE: &str = "pipeline!(items | foreach_parallel(|item| ..))";

/// The word for the stage that is a loop.
const PARALLEL: &str = "foreach_parallel";

/// Reads `$crate, SOURCE | STAGE | ..`.
pub(crate) fn pipeline(input: TokenStream, errors: &mut Errors) -> Option<Pipeline<Call>> {
    let trees = visible(input);
    let (krate, mut rest) = crate_path(&trees);
    if rest.is_empty() {
        let message = format!("nothing to run; write `{EXAMPLE}`");
        errors.push(Span::call_site(), message);
        return None;
    }
    let mut stages = Stages {
        krate: krate.clone(),
        read: Vec::new(),
        complete: true,
    };
    let mut part = rest.take_while(|rest| !rest.at_punct('|'));
    let source = part.expression();
    if source.is_empty() {
        let at = if part.is_empty() { rest } else { part };
        let message = format!("the source is missing in front of this; write `{EXAMPLE}`");
        errors.push(at.span(), message);
        return None;
    }
    if is_open_range(source.trees()) {
        let message = "a range without an end is in parentheses here, as in `(0..)`; without them, \
                       rustfmt takes the stages for its end, and changes them";
        errors.push_spanned(source.to_stream(), message);
    }
    // `source, stage`
    if let Some(bar) = separator(&mut part, rest.is_empty(), errors) {
        stages.add(bar, part, errors)?;
    }
    while let Some(Bar { span, is_pipe }) = bar(&mut rest, errors) {
        let mut part = rest.take_while(|rest| !rest.at_punct('|'));
        if part.is_empty() {
            missing(span, rest.is_empty(), errors);
            return None;
        }
        if rest.is_empty() {
            part = without_comma(part);
        }
        if is_pipe {
            stages.add(span, part, errors)?;
        } else {
            // If no stage follows, this was not meant to be a pipe, and what it is has been said.
            let mut quiet = Errors::default();
            stages.add(span, part, &mut quiet)?;
            if !quiet.is_empty() {
                return None;
            }
        }
    }
    let source = source.to_stream();
    if stages.read.is_empty() && stages.complete {
        errors.push_spanned(
            &source,
            "a source alone is no pipeline; write a stage behind it, `| foreach_parallel(|item| ..)`",
        );
        return None;
    }
    Some(Pipeline {
        krate,
        source: unparenthesised(source),
        stages: stages.read,
        complete: stages.complete,
    })
}

/// `0..`, which to Rust's grammar goes on: `0.. | f(|x| x) | g` is a range up to a closure with the parameter
/// `f(|x| x)`, and rustfmt drops the `|` that this pattern has no need of.
fn is_open_range(source: &[TokenTree]) -> bool {
    match source {
        [.., first, second] => is_punct(first, '.') && is_punct(second, '.'),
        _ => false,
    }
}

/// What stands in the parentheses that a source with a `|` needs. What it becomes has no use for
/// them, and rustc would say so.
fn unparenthesised(source: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = source.clone().into_iter().collect();
    match trees.as_slice() {
        [TokenTree::Group(group)]
            if group.delimiter() == Delimiter::Parenthesis
                && syn::parse2::<syn::Expr>(group.stream()).is_ok() =>
        {
            group.stream()
        }
        _ => source,
    }
}

/// What stands in front of a stage.
struct Bar {
    span: Span,
    /// Whether it is a `|`, and not something that may be meant to be one.
    is_pipe: bool,
}

/// Takes `|`, or what was written for it.
fn bar(rest: &mut Tokens<'_>, errors: &mut Errors) -> Option<Bar> {
    let Some(TokenTree::Punct(first)) = rest.first() else {
        return None;
    };
    rest.advance();
    let span = first.span();
    let joint = first.spacing() == Spacing::Joint;
    let message = match () {
        () if joint && rest.at_punct('|') => {
            "`||` is no pipe; write `|`, or put a source that has a `||` in parentheses"
        }
        () if joint && rest.at_punct('>') => "`|>` is no pipe; write `|`",
        () => {
            let is_pipe = true;
            return Some(Bar { span, is_pipe });
        }
    };
    errors.push(span, message);
    rest.advance();
    let is_pipe = false;
    Some(Bar { span, is_pipe })
}

/// Takes what stands for a `|` between two parts. A comma at the end is one that a formatter may
/// have put there.
fn separator(rest: &mut Tokens<'_>, is_last: bool, errors: &mut Errors) -> Option<Span> {
    let span = open_span(rest.first()?);
    let written = match () {
        () if rest.at_punct(',') => ",",
        () if rest.at_punct(';') => ";",
        () if rest.at_arrow() => "=>",
        () => {
            let message = "a `|` is missing between two stages; write one in front of this";
            errors.push(span, message);
            return Some(span);
        }
    };
    rest.take(written.len());
    if written == "," && rest.is_empty() && is_last {
        return None;
    }
    let message =
        format!("the parts of a pipeline are separated by `|`, not `{written}`; write `|`");
    errors.push(span, message);
    Some(span)
}

fn missing(bar: Span, is_last: bool, errors: &mut Errors) {
    let message = match is_last {
        true => "a stage is missing after this",
        false => {
            "a stage is missing after this; a closure stands inside of one, as in `map(|item| ..)`"
        }
    };
    errors.push(bar, message);
}

/// The stages that were read.
struct Stages {
    krate: CratePath,
    read: Vec<Stage<Call>>,
    /// Whether these are all.
    complete: bool,
}

impl Stages {
    /// Reads the tokens between one `|` and the next; there may be one missing among them. `None`
    /// is a mistake after which nothing was written to be read as a stage.
    fn add(&mut self, mut bar: Span, part: Tokens<'_>, errors: &mut Errors) -> Option<()> {
        let trees = ungrouped(&part.to_stream());
        let mut rest = Tokens::new(&trees);
        loop {
            let read = stage(bar, &mut rest, &self.krate, errors);
            self.complete &= read.is_some();
            self.read.extend(read);
            if rest.is_empty() {
                return Some(());
            }
            bar = separator(&mut rest, false, errors)?;
            if rest.is_empty() {
                return None;
            }
        }
    }
}

/// Takes a stage, or all there is if it is none.
fn stage(
    bar: Span,
    rest: &mut Tokens<'_>,
    krate: &CratePath,
    errors: &mut Errors,
) -> Option<Stage<Call>> {
    let Some((word, after)) = rest.ident().filter(|(word, _)| is_name(word)) else {
        not_a_stage(rest, errors);
        return None;
    };
    let whole = *rest;
    let mut after = after;
    if after.at_punct('!') {
        let message = format!("a stage is written without the `!`; write `{word}(..)`");
        errors.push(after.span(), message);
        after.advance();
    }
    let mut generics = after;
    let generics = generics.take(turbofish(after)).to_stream();
    after.take(turbofish(after));
    let is_parallel = generics.is_empty() && (word == PARALLEL || misspelled(&word, errors));
    let arguments = match arguments(&word, &mut after, errors) {
        Some(arguments) => arguments,
        // `collect`
        None if !is_parallel && ends(after) => {
            errors.push(
                word.span(),
                format_args!("a stage is a call; write `{word}{generics}()`"),
            );
            Group::new(Delimiter::Parenthesis, TokenStream::new())
        }
        None if ends(after) => {
            let example = Form::Stage.example();
            errors.push(
                word.span(),
                format_args!("a stage is a call; write `{example}`"),
            );
            *rest = after;
            return None;
        }
        None => {
            *rest = whole;
            not_a_stage(rest, errors);
            return None;
        }
    };
    let suffix = suffix(&mut after);
    *rest = after;
    let kind = if is_parallel {
        StageKind::Parallel(call(krate, &arguments, errors)?)
    } else {
        let mut method = generics;
        method.extend([TokenTree::Group(arguments)]);
        StageKind::Method(method)
    };
    Some(Stage {
        bar,
        word,
        kind,
        suffix,
    })
}

/// Whether a stage can end here.
fn ends(rest: Tokens<'_>) -> bool {
    rest.is_empty() || rest.at_punct(',') || rest.at_punct(';')
}

/// Reads the arguments of `foreach_parallel(..)`.
fn call(krate: &CratePath, arguments: &Group, errors: &mut Errors) -> Option<Call> {
    let trees = visible(arguments.stream());
    if trees.is_empty() {
        let message = format!("nothing to run; write `{}`", Form::Stage.example());
        errors.push_spanned(arguments, message);
        return None;
    }
    let (clauses, body, used) = clauses(
        &mut Tokens::new(&trees),
        last_span(&trees),
        Form::Stage,
        errors,
    )?;
    Some(Call {
        krate: krate.clone(),
        subject: None,
        clauses,
        body,
        used,
    })
}

/// How many tokens the `::<..>` has that stands here.
fn turbofish(rest: Tokens<'_>) -> usize {
    let mut after = rest;
    if !named::eat_colons(&mut after) || !after.at_punct('<') {
        return 0;
    }
    let mut depth = 0_usize;
    let mut after_dash = false;
    while let Some(tree) = after.first() {
        after.advance();
        if is_punct(tree, '<') {
            depth += 1;
        } else if is_punct(tree, '>') && !after_dash {
            depth -= 1;
        }
        after_dash = is_punct(tree, '-');
        if depth == 0 {
            return rest.trees().len() - after.trees().len();
        }
    }
    0
}

/// Takes the arguments of a stage, which stand in parentheses.
fn arguments(word: &Ident, rest: &mut Tokens<'_>, errors: &mut Errors) -> Option<Group> {
    let Some(TokenTree::Group(group)) = rest.first() else {
        return None;
    };
    match group.delimiter() {
        Delimiter::Parenthesis => {}
        Delimiter::None => return None,
        Delimiter::Brace | Delimiter::Bracket => errors.push(
            word.span(),
            format_args!("`{word}` takes its arguments in parentheses; write `{word}(..)`"),
        ),
    }
    rest.advance();
    let mut arguments = Group::new(Delimiter::Parenthesis, group.stream());
    arguments.set_span(group.span());
    Some(arguments)
}

/// Takes `.outcomes()`, `?` and the like.
fn suffix(rest: &mut Tokens<'_>) -> TokenStream {
    if !rest.at_punct('.') && !rest.at_punct('?') {
        return TokenStream::new();
    }
    // The end is that of an expression, and something has to be in front of it to be one.
    let receiver = TokenTree::Ident(Ident::new("stage", Span::call_site()));
    let whole: Vec<TokenTree> = [receiver].iter().chain(rest.trees()).cloned().collect();
    let count = Tokens::new(&whole).expression().trees().len() - 1;
    rest.take(count).to_stream()
}

/// Whether the word was meant to be that of the loop. Any other word may be that of a method.
fn misspelled(word: &Ident, errors: &mut Errors) -> bool {
    let found = nearest(&word.to_string(), &[PARALLEL]).is_some();
    if found {
        errors.push(
            word.span(),
            format_args!("no stage `{word}`; write `{PARALLEL}`"),
        );
    }
    found
}

fn not_a_stage(rest: &mut Tokens<'_>, errors: &mut Errors) {
    let all = rest.take(rest.trees().len());
    errors.push_spanned(
        all.to_stream(),
        "this is no stage; write `foreach_parallel(..)` or a method such as `filter(|item| ..)`; a \
         source that has a `|` of its own goes in parentheses",
    );
}

fn without_comma(part: Tokens<'_>) -> Tokens<'_> {
    match part.trees() {
        [trees @ .., last] if is_punct(last, ',') => Tokens::new(trees),
        trees => Tokens::new(trees),
    }
}
