//! What stands between the subject of a call and its end: the clauses, and the body.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::Expr;

use super::fragment::visible;
use super::tokens::{self, Tokens, is_punct};
use super::{Form, braced, capture, closure, named, using};
use crate::error::{Errors, nearest};
use crate::model::{Body, Clause, Init, NamedCall, Setting};

/// Reads everything after the subject. `last` is where the call's last token is.
pub(super) fn clauses(
    rest: &mut Tokens<'_>,
    last: Span,
    form: Form,
    errors: &mut Errors,
) -> Option<(Vec<Clause>, Body, Vec<Ident>)> {
    let mut clauses = Vec::new();
    let mut stray = None;
    while !rest.is_empty() {
        if closure::starts(*rest) {
            let mut closure = closure::closure(rest, form, errors)?;
            let (body, used) = using::rewrite(closure.body, errors);
            closure.body = body;
            trailing(rest, form, &mut clauses, errors);
            return Some((clauses, Body::Closure(closure), used));
        }
        if let Some((_, mut after)) = rest.group(Delimiter::Brace) {
            let block = rest.first().cloned().into_iter().collect();
            if form.is_loop() {
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
        if named::starts(*rest, form)
            && let Some(call) = named::call(rest)
        {
            rest.eat_punct(',');
            trailing(rest, form, &mut clauses, errors);
            return Some((clauses, named_call(call, errors), Vec::new()));
        }
        match clause(rest, form, errors) {
            Ok(clause) => clauses.extend(clause),
            Err(tokens) => {
                let is_last = rest.is_empty() || rest.trees().len() == 1 && rest.at_punct(',');
                if is_last {
                    stray = Some(tokens);
                    break;
                }
                errors.push_spanned(tokens, stray_message(form));
            }
        }
        separator(rest, errors);
    }
    no_body(stray, last, form, clauses, errors)
}

/// The body, `$using:name` in its arguments being a variable like any other there.
fn named_call(mut call: NamedCall, errors: &mut Errors) -> Body {
    let (arguments, _) = using::rewrite(call.arguments.stream(), errors);
    let mut group = Group::new(Delimiter::Parenthesis, arguments);
    group.set_span(call.arguments.span());
    call.arguments = group;
    Body::Named(call)
}

fn stray_message(form: Form) -> &'static str {
    match form {
        Form::Stage => {
            "expected `option = value`, `using(..)` or the closure here; the items of a stage come \
             from in front of its `|`"
        }
        _ => "expected `option = value`, `using(..)` or the body here",
    }
}

/// The call ended and no body was seen. `stray` is what stood in its place.
fn no_body(
    stray: Option<TokenStream>,
    last: Span,
    form: Form,
    clauses: Vec<Clause>,
    errors: &mut Errors,
) -> Option<(Vec<Clause>, Body, Vec<Ident>)> {
    let Some(stray) = stray else {
        let is_program = |clause: &Clause| match clause {
            Clause::Setting(setting) => setting.name == "file" || setting.name == "args",
            _ => false,
        };
        let is_program = form == Form::ProcessJob && clauses.iter().any(is_program);
        let begin = swallowed(&clauses, is_program);
        if begin.is_none() && is_program {
            return Some((clauses, Body::Nothing, Vec::new()));
        }
        missing(begin, last, form, errors);
        return None;
    };
    if form.is_loop() {
        let message = match syn::parse2::<syn::Path>(stray.clone()) {
            Ok(_) => format!("the body is a closure; write `|item| {stray}(item)`"),
            Err(_) => "the body is a closure that names the item; write `|item| ..`".into(),
        };
        errors.push_spanned(stray, message);
        return None;
    }
    let noun = form.noun();
    let message = format!("the body of {noun} is a block; write `{{ {stray} }}`");
    errors.push_spanned(&stray, message);
    let (stray, used) = using::rewrite(stray, errors);
    Some((clauses, Body::Block(braced(stray)), used))
}

/// Says that there is no body. It may begin at `begin`, inside of something else.
pub(super) fn missing(begin: Option<Span>, last: Span, form: Form, errors: &mut Errors) {
    let (body, written) = match form.is_loop() {
        true => ("closure", "`|item| ..`"),
        false => ("block", "`{ .. }`"),
    };
    match begin {
        Some(begin) => errors.push(
            begin,
            format_args!("the {body} is missing; if it begins here, write a `,` before it"),
        ),
        None => errors.push(
            last,
            format_args!("the {body} is missing; write {written} after this"),
        ),
    }
}

/// Where a body begins that became part of the last value, for want of a comma.
fn swallowed(clauses: &[Clause], may_be_complete: bool) -> Option<Span> {
    let Some(Clause::Setting(last)) = clauses.last() else {
        return None;
    };
    // `file = if a { b } else { c }` has swallowed nothing. Where there has to be a body, though, it
    // is in there, be that an expression or not.
    let complete = match syn::parse2::<Expr>(last.value.clone()) {
        // This is what `program { .. }` looks like.
        Ok(Expr::Struct(_)) | Err(_) => false,
        Ok(_) => may_be_complete,
    };
    begin_of_body(&last.value, !complete)
}

/// Where what looks like a closure begins in an expression, or like a block.
pub(super) fn begin_of_body(expression: &TokenStream, or_block: bool) -> Option<Span> {
    let begins = |tree: &TokenTree| is_punct(tree, '|') || is_brace(tree) && or_block;
    let begin = expression.clone().into_iter().find(begins)?;
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
    let Some((mut name, mut after)) = rest.ident() else {
        return Err(rest.expression_or_tree());
    };
    if let Some(meant) = misspelled_list(&name, after, form) {
        errors.push(
            name.span(),
            format_args!("the list is called `{meant}`; write `{meant}(..)`"),
        );
        name = Ident::new(meant, name.span());
        after.eat_punct('!');
    }
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
            let content = visible(content);
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

/// Whether `name` and what follows is a list under another name: `usng(a)`, `use(a)`, `using!(a)`.
pub(super) fn misspelled_list(name: &Ident, after: Tokens<'_>, form: Form) -> Option<&'static str> {
    let mut list = after;
    let exclaimed = list.eat_punct('!');
    let (_, end) = list.group(Delimiter::Parenthesis)?;
    let ends = end.is_empty() || end.at_punct(',') || closure::starts(end);
    // A job in another process may be a call of a function, of any name.
    if !ends || form == Form::ProcessJob && !exclaimed {
        return None;
    }
    let word = name.to_string();
    match word.as_str() {
        "using" => exclaimed.then_some("using"),
        "init" => exclaimed.then_some("init"),
        "use" | "uses" | "move" | "capture" | "captures" | "Using" => Some("using"),
        "with" | "state" | "local" | "initialise" | "initialize" => Some("init"),
        word => match nearest(word, &["using", "init"])? {
            "using" => Some("using"),
            _ => Some("init"),
        },
    }
}

fn missing_value(name: &Ident, errors: &mut Errors) {
    let example = match name.to_string().as_str() {
        "throttle" => "throttle = 4",
        "ordered" => "ordered = true",
        "buffer" => "buffer = 16",
        "name" => "name = \"resize\"",
        "within" => "within = scope",
        "progress" => "progress = \"Hashing\"",
        "queue" => "queue = &queue",
        "on" => "on = thread",
        "env" => "env = [(\"KEY\", \"value\")]",
        "current_dir" => "current_dir = \"work\"",
        "memory" => "memory = 64 << 20",
        "cpu_time" => "cpu_time = Duration::from_secs(60)",
        "open_files" => "open_files = 64",
        "timeout" => "timeout = Duration::from_secs(60)",
        "grace" => "grace = Duration::from_secs(5)",
        "file" => "file = \"program\"",
        "args" => "args = [\"--help\"]",
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
pub(super) fn separator(rest: &mut Tokens<'_>, errors: &mut Errors) {
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
