//! From tokens to a `Call`.
//!
//! Only the clauses are read. What stands for an expression is kept as the tokens it was written
//! with: syn is asked where it ends and no more, and where syn cannot tell (code that is being
//! typed) the next comma does. The body is not even asked about.

mod capture;
mod closure;
mod tokens;
mod using;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use self::tokens::Tokens;
use crate::error::Errors;
use crate::model::{Body, Call, Clause, CratePath, Init, Setting};

pub(crate) use self::tokens::is_punct;

/// The options that `foreach_parallel!` has, in the order in which errors list them.
pub(crate) const FOREACH_OPTIONS: &[&str] =
    &["throttle", "ordered", "buffer", "name", "within", "on"];

/// The options that `start_thread_job!` has.
pub(crate) const JOB_OPTIONS: &[&str] = &["name", "queue"];

/// Which macro is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Foreach,
    Job,
}

impl Form {
    fn is_option(self, name: &Ident) -> bool {
        let options = match self {
            Form::Foreach => FOREACH_OPTIONS,
            Form::Job => JOB_OPTIONS,
        };
        options.iter().any(|option| name == option)
    }
}

/// Reads `$crate, ITEMS, CLAUSES.., CLOSURE`.
pub(crate) fn foreach(input: TokenStream, errors: &mut Errors) -> Option<Call> {
    let trees = spliced(input);
    let (krate, mut rest) = crate_path(&trees);
    if rest.is_empty() {
        errors.push(
            Span::call_site(),
            "nothing to run; write `foreach_parallel!(items, |item| ..)`",
        );
        return None;
    }
    let items = items(&mut rest, errors)?;
    let (clauses, body, used) = clauses(&mut rest, Form::Foreach, errors)?;
    Some(Call {
        krate,
        items: Some(items),
        clauses,
        body,
        used,
    })
}

/// Reads `$crate, CLAUSES.., BLOCK`, `$crate, CLAUSES.., CLOSURE` or `$crate, STATEMENTS`.
pub(crate) fn job(input: TokenStream, errors: &mut Errors) -> Option<Call> {
    let trees = spliced(input);
    let (krate, mut rest) = crate_path(&trees);
    if rest.is_empty() {
        errors.push(
            Span::call_site(),
            "nothing to run; write `start_thread_job!({ .. })`",
        );
        return None;
    }
    let (clauses, body, used) = if is_call(rest) {
        clauses(&mut rest, Form::Job, errors)?
    } else {
        let (statements, used) = using::rewrite(rest.to_stream(), errors);
        (Vec::new(), Body::Block(braced(statements)), used)
    };
    Some(Call {
        krate,
        items: None,
        clauses,
        body,
        used,
    })
}

/// The tokens of a call, those of a closure that a `macro_rules!` passes on as `$body:expr` too.
fn spliced(input: TokenStream) -> Vec<TokenTree> {
    let splice = |tree: TokenTree| -> Vec<TokenTree> {
        if let TokenTree::Group(group) = &tree
            && group.delimiter() == Delimiter::None
        {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            if closure::starts(Tokens::new(&inner)) {
                return inner;
            }
        }
        vec![tree]
    };
    input.into_iter().flat_map(splice).collect()
}

fn crate_path(trees: &[TokenTree]) -> (CratePath, Tokens<'_>) {
    let mut rest = Tokens::new(trees);
    let krate = rest.take_while(|rest| !rest.at_punct(','));
    rest.eat_punct(',');
    (krate.to_stream(), rest)
}

/// `{ STATEMENTS }`, standing where the statements do.
fn braced(statements: TokenStream) -> TokenStream {
    let last = statements.clone().into_iter().last();
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(last.map_or_else(Span::call_site, |tree| tree.span()));
    TokenTree::Group(block).into()
}

/// Whether a job's tokens are clauses and a body, and not the statements of a body.
///
/// Statements never hold a comma where a clause ends with one, and do not begin with a closure.
fn is_call(rest: Tokens<'_>) -> bool {
    if closure::starts(rest) {
        return true;
    }
    if let Some((_, after)) = rest.group(Delimiter::Brace) {
        return after.is_empty() || after.at_punct(',');
    }
    let Some((name, mut after)) = rest.ident() else {
        return false;
    };
    if after.at_punct(',') || after.at_colon() {
        return true;
    }
    if after.at_assignment() {
        after.advance();
        after.expression();
        return after.at_punct(',') || Form::Job.is_option(&name) && !after.at_punct(';');
    }
    match after.any_group() {
        // `using(a); next()` calls a function of that name.
        Some((_, after)) if name == "using" || name == "init" => {
            after.is_empty()
                || after.at_punct(',')
                || closure::starts(after)
                || after.group(Delimiter::Brace).is_some()
        }
        _ => false,
    }
}

/// Reads ITEMS and the comma after them.
fn items(rest: &mut Tokens<'_>, errors: &mut Errors) -> Option<TokenStream> {
    if closure::starts(*rest) {
        errors.push(
            rest.span(),
            "the items come first; write `foreach_parallel!(items, |item| ..)`",
        );
        return None;
    }
    if rest.ident().is_some_and(|(word, _)| word == "for") {
        errors.push(
            rest.span(),
            "`for x in items { .. }` is not the form of a call; write `items, |x| { .. }`",
        );
        return None;
    }
    // `throttle = 4, |x| ..`, `using(a), |x| ..`: the call began with its second part.
    if let Some((name, after)) = rest.ident() {
        let clause = Form::Foreach.is_option(&name) && after.at_assignment()
            || (name == "using" || name == "init") && after.group(Delimiter::Parenthesis).is_some();
        if clause {
            errors.push(
                name.span(),
                format_args!("the items come first; write them in front of `{name}`"),
            );
            return None;
        }
    }
    let mut items = rest.expression();
    let word = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "in");
    if let Some(at) = items.trees().iter().position(word) {
        let pattern = items.take(at).to_stream();
        errors.push(
            items.span(),
            format_args!("the closure names the item; write `items, |{pattern}| ..`"),
        );
        items.advance();
    }
    if items.is_empty() {
        errors.push(
            rest.span(),
            "the items are missing; write `foreach_parallel!(items, |item| ..)`",
        );
        return None;
    }
    separator(rest, errors);
    Some(items.to_stream())
}

/// Reads everything after the items.
fn clauses(
    rest: &mut Tokens<'_>,
    form: Form,
    errors: &mut Errors,
) -> Option<(Vec<Clause>, Body, Vec<Ident>)> {
    let mut clauses = Vec::new();
    let mut stray = None;
    let last = match rest.trees().last() {
        Some(TokenTree::Group(group)) => group.span_close(),
        Some(tree) => tree.span(),
        None => Span::call_site(),
    };
    while !rest.is_empty() {
        if closure::starts(*rest) {
            let mut closure = closure::closure(rest, errors)?;
            let (body, used) = using::rewrite(closure.body, errors);
            closure.body = body;
            trailing(rest, form, &mut clauses, errors);
            return Some((clauses, Body::Closure(closure), used));
        }
        if let Some((_, mut after)) = rest.group(Delimiter::Brace) {
            let block = rest.first().cloned().into_iter().collect();
            if form == Form::Foreach {
                errors.push(
                    rest.span(),
                    "the body is a closure that names the item; write `|item| { .. }`",
                );
                return None;
            }
            if after.is_empty() || after.at_punct(',') {
                let (block, used) = using::rewrite(block, errors);
                after.eat_punct(',');
                trailing(&mut after, form, &mut clauses, errors);
                return Some((clauses, Body::Block(block), used));
            }
        }
        match clause(rest, form, errors) {
            Ok(clause) => clauses.extend(clause),
            Err(tokens) => {
                let is_last = rest.is_empty() || rest.trees().len() == 1 && rest.at_punct(',');
                if is_last {
                    stray = Some(tokens);
                    break;
                }
                errors.push_spanned(
                    tokens,
                    "expected `option = value`, `using(..)` or the body here",
                );
            }
        }
        separator(rest, errors);
    }
    no_body(stray, last, form, clauses, errors)
}

/// The call ended and no body was seen. `stray` is what stood in its place, `last` where
/// the call's last token is.
fn no_body(
    stray: Option<TokenStream>,
    last: Span,
    form: Form,
    clauses: Vec<Clause>,
    errors: &mut Errors,
) -> Option<(Vec<Clause>, Body, Vec<Ident>)> {
    match (stray, form) {
        (Some(stray), Form::Foreach) => {
            let message = match syn::parse2::<syn::Path>(stray.clone()) {
                Ok(_) => format!("the body is a closure; write `|item| {stray}(item)`"),
                Err(_) => "the body is a closure that names the item; write `|item| ..`".into(),
            };
            errors.push_spanned(stray, message);
            None
        }
        (Some(stray), Form::Job) => {
            let message = format!("the body of a job is a block; write `{{ {stray} }}`");
            errors.push_spanned(&stray, message);
            let (stray, used) = using::rewrite(stray, errors);
            Some((clauses, Body::Block(braced(stray)), used))
        }
        (None, _) => {
            let (body, written) = match form {
                Form::Foreach => ("closure", "`|item| ..`"),
                Form::Job => ("block", "`{ .. }`"),
            };
            match swallowed(&clauses) {
                Some(begin) => errors.push(
                    begin,
                    format_args!("the {body} is missing; if it begins here, write a `,` before it"),
                ),
                None => errors.push(
                    last,
                    format_args!("the {body} is missing; write {written} after this"),
                ),
            }
            None
        }
    }
}

/// Where a body begins that became part of the last value, for want of a comma.
fn swallowed(clauses: &[Clause]) -> Option<Span> {
    let Some(Clause::Setting(last)) = clauses.last() else {
        return None;
    };
    let begins = |tree: &TokenTree| is_punct(tree, '|') || is_brace(tree);
    let begin = last.value.clone().into_iter().find(begins)?;
    Some(tokens::open_span(&begin))
}

fn is_brace(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

/// Clauses after the body. They are read all the same, once it is said where they belong.
fn trailing(rest: &mut Tokens<'_>, form: Form, clauses: &mut Vec<Clause>, errors: &mut Errors) {
    if rest.is_empty() {
        return;
    }
    errors.push_spanned(
        rest.to_stream(),
        "the body is the last part of the call; move this in front of it",
    );
    // What cannot be read here has been reported as a whole.
    let mut quiet = Errors::default();
    while !rest.is_empty() {
        if let Ok(Some(clause)) = clause(rest, form, &mut quiet) {
            clauses.push(clause);
        }
        separator(rest, &mut quiet);
    }
}

/// Reads one clause. `Ok(None)` is a mistake that has been reported, `Err` holds tokens that look
/// like no clause at all.
fn clause(
    rest: &mut Tokens<'_>,
    form: Form,
    errors: &mut Errors,
) -> Result<Option<Clause>, TokenStream> {
    let Some((name, after)) = rest.ident() else {
        return Err(rest.expression_or_tree());
    };
    if name == "using" || name == "init" {
        let mut list = after;
        let parenthesised = list.group(Delimiter::Parenthesis).is_some();
        if list.at_assignment() {
            list.advance();
        }
        if let Some((content, after)) = list.any_group() {
            if !parenthesised {
                errors.push(
                    name.span(),
                    format_args!("`{name}` takes its list in parentheses; write `{name}(..)`"),
                );
            }
            *rest = after;
            let content: Vec<TokenTree> = content.into_iter().collect();
            let content = Tokens::new(&content);
            return Ok(Some(if name == "using" {
                Clause::Using(name, capture::captures(content, form, errors))
            } else {
                Clause::Init(name, inits(content, errors))
            }));
        }
    }
    let known = form.is_option(&name);
    if after.at_assignment() || after.at_colon() || after.at_arrow() {
        let written = match () {
            () if after.at_colon() => Some(":"),
            () if after.at_arrow() => Some("=>"),
            () => None,
        };
        *rest = after;
        let sign = rest.span();
        rest.advance();
        if written == Some("=>") {
            rest.advance();
        }
        let value = rest.expression();
        if let Some(written) = written {
            let shown = value.to_stream();
            errors.push(
                sign,
                format_args!(
                    "an option is set with `=`, not `{written}`; write `{name} = {shown}`"
                ),
            );
        }
        if value.is_empty() {
            missing_value(&name, errors);
            return Ok(None);
        }
        let value = value.to_stream();
        return Ok(Some(Clause::Setting(Setting { name, value })));
    }
    if known && (after.is_empty() || after.at_punct(',') || after.at_punct(';')) {
        missing_value(&name, errors);
        *rest = after;
        return Ok(None);
    }
    Err(rest.expression_or_tree())
}

fn missing_value(name: &Ident, errors: &mut Errors) {
    let example = match name.to_string().as_str() {
        "throttle" => "throttle = 4",
        "ordered" => "ordered = true",
        "buffer" => "buffer = 16",
        "name" => "name = \"resize\"",
        "within" => "within = scope",
        "queue" => "queue = &queue",
        "on" => "on = thread",
        _ => "name = value",
    };
    errors.push(
        name.span(),
        format_args!("`{name}` has no value; write it like `{example}`"),
    );
}

/// Reads the list of `init(..)`.
fn inits(mut rest: Tokens<'_>, errors: &mut Errors) -> Vec<Init> {
    let mut inits = Vec::new();
    while !rest.is_empty() {
        match rest.ident() {
            Some((name, after)) if after.at_assignment() => {
                rest = after;
                rest.advance();
                let value = rest.expression().to_stream();
                if value.is_empty() {
                    errors.push(
                        name.span(),
                        format_args!("`{name}` has no value; write `{name} = value`"),
                    );
                } else {
                    inits.push(Init { name, value });
                }
            }
            _ => errors.push_spanned(
                rest.expression_or_tree(),
                "`init` names what each worker makes for itself; write `init(name = value)`",
            ),
        }
        separator(&mut rest, errors);
    }
    inits
}

/// Reads the comma between two parts of a list.
fn separator(rest: &mut Tokens<'_>, errors: &mut Errors) {
    if rest.is_empty() || rest.eat_punct(',') {
        return;
    }
    let span = rest.first().map_or_else(Span::call_site, tokens::open_span);
    if rest.eat_punct(';') {
        errors.push(
            span,
            "the parts of a call are separated by `,`, not `;`; write `,`",
        );
    } else if rest.at_arrow() {
        rest.advance();
        rest.advance();
        errors.push(
            span,
            "the parts of a call are separated by `,`, not `=>`; write `,`",
        );
    } else {
        errors.push(span, "a `,` is missing; write one in front of this");
    }
}
