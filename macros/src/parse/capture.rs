//! The list of `using(..)`.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{Expr, Member};

use super::clauses::separator;
use super::tokens::{Tokens, is_punct};
use super::{Form, ungrouped};
use crate::error::{Errors, shown};
use crate::model::{Capture, Kind};

pub(super) fn captures(mut rest: Tokens<'_>, form: Form, errors: &mut Errors) -> Vec<Capture> {
    let mut captures = Vec::new();
    while !rest.is_empty() {
        let entry = rest.expression();
        if entry.is_empty() {
            errors.push(rest.span(), "a name is missing in front of this");
        } else {
            captures.extend(capture(entry, form, errors));
        }
        separator(&mut rest, errors);
    }
    captures
}

/// Reads one entry. A spelling that belongs to another language or another macro is a mistake, but
/// one whose meaning is plain: the capture is made all the same, and the body checked with it.
fn capture(entry: Tokens<'_>, form: Form, errors: &mut Errors) -> Option<Capture> {
    let whole = entry.to_stream();
    let trees = ungrouped(&whole);
    let rest = Tokens::new(&trees);
    if rest.at_punct('&') {
        return borrowed(rest, form, errors);
    }
    let Some((first, after)) = rest.ident() else {
        unnamed(whole, errors);
        return None;
    };
    if after.is_empty() && is_name(&first) {
        return Some(owned(first.clone(), quote!(#first)));
    }
    if after.at_assignment() {
        let mut value = after;
        value.advance();
        return named(first, value, form, errors);
    }
    if let Some(capture) = foreign_prefix(&first, after, &whole, form, errors) {
        return Some(capture);
    }
    if after.at_colon() {
        let mut value = after;
        value.advance();
        return Some(ascribed(first, value, &whole, errors));
    }
    if let Some((value, target)) = renamed(rest) {
        errors.push_spanned(
            whole,
            format_args!(
                "a capture gets a new name with `=`; write `{target} = {}`",
                shown(&value)
            ),
        );
        return Some(owned(target, value));
    }
    if is_name(&first) && is_method_chain(&whole, after) {
        return Some(owned(first, whole));
    }
    unnamed(whole, errors);
    None
}

/// `a as b`, `a.clone() as b`, `clone a as b`: the value, and the name that is no type.
fn renamed(entry: Tokens<'_>) -> Option<(TokenStream, Ident)> {
    let [value @ .., TokenTree::Ident(word), TokenTree::Ident(target)] = entry.trees() else {
        return None;
    };
    if word != "as" || !is_name(target) {
        return None;
    }
    let value = match value {
        [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "clone" => {
            quote!(#name.clone())
        }
        [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "move" => quote!(#name),
        value => Tokens::new(value).to_stream(),
    };
    let is_value = syn::parse2::<Expr>(value.clone()).is_ok();
    is_value.then(|| (value, target.clone()))
}

fn owned(name: Ident, value: TokenStream) -> Capture {
    let kind = Kind::Owned;
    Capture { name, value, kind }
}

/// Whether a variable can have this name.
pub(super) fn is_name(ident: &Ident) -> bool {
    syn::parse2::<Ident>(quote!(#ident)).is_ok()
}

/// `&name` and `&mut name`.
fn borrowed(entry: Tokens<'_>, form: Form, errors: &mut Errors) -> Option<Capture> {
    let mut rest = entry;
    rest.advance();
    let mutable = rest.ident().filter(|(word, _)| word == "mut");
    let kind = match mutable {
        Some((_, after)) => {
            rest = after;
            Kind::BorrowedMut
        }
        None => Kind::Borrowed,
    };
    match rest.ident() {
        Some((name, after)) if after.is_empty() && is_name(&name) => {
            forbidden_borrow(entry.to_stream(), &name, kind, form, errors);
            Some(borrow_of(name, kind, entry))
        }
        _ => {
            unnamed(entry.to_stream(), errors);
            None
        }
    }
}

fn borrow_of(name: Ident, kind: Kind, entry: Tokens<'_>) -> Capture {
    let value = match kind {
        Kind::BorrowedMut => quote!(#name),
        _ => entry.to_stream(),
    };
    Capture { name, value, kind }
}

/// Says which borrows a call cannot make.
fn forbidden_borrow(
    written: TokenStream,
    name: &dyn Display,
    kind: Kind,
    form: Form,
    errors: &mut Errors,
) {
    let message = match (form, kind) {
        (Form::Foreach | Form::Stage, Kind::BorrowedMut) => format!(
            "all items share `{name}`, so none can borrow it for writing; make it a `Mutex` or an \
             atomic and write `&{name}`"
        ),
        (Form::ThreadJob | Form::Invoke, Kind::Borrowed | Kind::BorrowedMut) => format!(
            "{} may outlive what it borrows; write `{name}` to move the value in, `{name}.clone()` \
             to move a copy in, or share it in an `Arc`",
            form.noun()
        ),
        (Form::ProcessJob, Kind::Borrowed | Kind::BorrowedMut) => format!(
            "another process cannot borrow from this one; write `{name}` to send the value, or \
             `{name}.clone()` to send a copy"
        ),
        _ => return,
    };
    errors.push_spanned(written, message);
}

/// `name = EXPR`
fn named(name: Ident, value: Tokens<'_>, form: Form, errors: &mut Errors) -> Option<Capture> {
    if !is_name(&name) {
        errors.push(
            name.span(),
            format_args!("`{name}` cannot be the name of a capture; write another one"),
        );
        return None;
    }
    if value.is_empty() {
        errors.push(
            name.span(),
            format_args!("`{name}` has no value; write `{name} = value`, or `{name}` alone"),
        );
        return Some(owned(name.clone(), quote!(#name)));
    }
    // On a thread, rustc tells a reference that lives long enough from one that does not.
    let may_borrow = matches!(form, Form::ThreadJob | Form::Invoke);
    if may_borrow || !value.at_punct('&') || !is_borrow(&value.to_stream()) {
        return Some(owned(name, value.to_stream()));
    }
    let mut target = value;
    target.advance();
    let (target, kind) = match target.ident() {
        Some((word, target)) if word == "mut" => (target.to_stream(), Kind::BorrowedMut),
        _ => (target.to_stream(), Kind::Borrowed),
    };
    forbidden_borrow(value.to_stream(), &target, kind, form, errors);
    let value = match kind {
        Kind::BorrowedMut => target,
        _ => value.to_stream(),
    };
    Some(Capture { name, value, kind })
}

/// Whether the expression is `&..`, and not merely begins with one, as `&a - &b` does.
pub(crate) fn is_borrow(expression: &TokenStream) -> bool {
    match syn::parse2::<Expr>(expression.clone()) {
        Ok(mut expr) => loop {
            expr = match expr {
                Expr::Group(group) => *group.expr,
                Expr::Paren(paren) => *paren.expr,
                expr => return matches!(expr, Expr::Reference(_)),
            };
        },
        Err(_) => {
            let first = expression.clone().into_iter().next();
            first.is_some_and(|tree| is_punct(&tree, '&'))
        }
    }
}

/// `ref a`, `ref mut a`, `mut a`, `mut a = EXPR`, `clone a`, `move a`.
fn foreign_prefix(
    prefix: &Ident,
    rest: Tokens<'_>,
    whole: &TokenStream,
    form: Form,
    errors: &mut Errors,
) -> Option<Capture> {
    let (name, after) = rest.ident()?;
    if prefix == "ref" && name == "mut" {
        let (name, _) = after.ident().filter(|(_, end)| end.is_empty())?;
        forbidden_borrow(whole.clone(), &name, Kind::BorrowedMut, form, errors);
        return Some(borrow_of(name, Kind::BorrowedMut, rest));
    }
    if prefix == "mut" && (after.is_empty() || after.at_assignment()) {
        let value = match after.is_empty() {
            true => quote!(#name),
            false => Tokens::new(&after.trees()[1..]).to_stream(),
        };
        let plain = match after.is_empty() {
            true => name.to_string(),
            false => format!("{name} = {}", shown(&value)),
        };
        // The body of a loop runs many times, and can give its one value away in none of them.
        let own = match form.is_loop() {
            true => format!("{name}.clone()"),
            false => name.to_string(),
        };
        errors.push_spanned(
            whole,
            format_args!(
                "a capture is not `mut`; write `{plain}` here and `let mut {name} = {own};` in the \
                 body",
            ),
        );
        let kind = Kind::OwnedMut;
        return Some(Capture { name, value, kind });
    }
    if !after.is_empty() {
        return None;
    }
    match prefix.to_string().as_str() {
        "ref" if form.is_loop() => {
            errors.push_spanned(
                whole,
                format_args!("a capture borrows with `&`; write `&{name}`"),
            );
            let value = quote_spanned!(name.span()=> &#name);
            let kind = Kind::Borrowed;
            Some(Capture { name, value, kind })
        }
        "ref" => {
            forbidden_borrow(whole.clone(), &name, Kind::Borrowed, form, errors);
            let value = quote!(&#name);
            let kind = Kind::Borrowed;
            Some(Capture { name, value, kind })
        }
        "clone" => {
            errors.push_spanned(
                whole,
                format_args!("a capture is cloned by its method; write `{name}.clone()`"),
            );
            Some(owned(name.clone(), quote!(#name.clone())))
        }
        "move" => {
            errors.push_spanned(
                whole,
                format_args!("a capture is moved without a word for it; write `{name}`"),
            );
            Some(owned(name.clone(), quote!(#name)))
        }
        _ => None,
    }
}

/// `a: clone`, `a: EXPR`.
fn ascribed(name: Ident, value: Tokens<'_>, whole: &TokenStream, errors: &mut Errors) -> Capture {
    let clones = value
        .ident()
        .is_some_and(|(word, end)| word == "clone" && end.is_empty());
    if clones || value.is_empty() {
        errors.push_spanned(
            whole,
            format_args!("a capture is cloned by its method; write `{name}.clone()`"),
        );
        return owned(name.clone(), quote!(#name.clone()));
    }
    let value = value.to_stream();
    errors.push_spanned(
        whole,
        format_args!(
            "a capture gets its value with `=`; write `{name} = {}`",
            shown(&value)
        ),
    );
    owned(name, value)
}

/// Whether `whole` is a name and calls of methods on it, with `?` between. `after` is what follows
/// the name.
fn is_method_chain(whole: &TokenStream, after: Tokens<'_>) -> bool {
    let Ok(mut expr) = syn::parse2::<Expr>(whole.clone()) else {
        // Being typed: rustc completes the method and says what is missing.
        return after.at_punct('.');
    };
    loop {
        expr = match expr {
            Expr::MethodCall(call) => *call.receiver,
            Expr::Try(question) => *question.expr,
            Expr::Group(group) => *group.expr,
            Expr::Path(_) => return true,
            _ => return false,
        };
    }
}

/// An entry from which no name can be told. The closures of the call capture what the body mentions
/// in any case, so nothing is lost by leaving it out.
fn unnamed(entry: TokenStream, errors: &mut Errors) {
    let Ok(expr) = syn::parse2::<Expr>(entry.clone()) else {
        errors.push_spanned(
            entry,
            "expected `name`, `name.clone()`, `&name` or `name = value` here",
        );
        return;
    };
    let name = name_for(&expr).unwrap_or_else(|| Ident::new("name", Span::call_site()));
    let what = match &expr {
        Expr::Path(path) if path.path.is_ident("self") => "`self` cannot keep its name",
        _ => "this is not a name",
    };
    let message = format!(
        "{what}; write `{name} = {}`, and `{name}` in the body",
        shown(&entry)
    );
    errors.push_spanned(entry, message);
}

/// The name that a value asks for.
fn name_for(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Path(path) => {
            let name = &path.path.segments.last()?.ident;
            match name.to_string().as_str() {
                "self" => Some(Ident::new("this", name.span())),
                _ => {
                    is_name(name).then(|| Ident::new(&name.to_string().to_lowercase(), name.span()))
                }
            }
        }
        Expr::Field(field) => match &field.member {
            Member::Named(name) => Some(name.clone()),
            Member::Unnamed(_) => name_for(&field.base),
        },
        Expr::MethodCall(call) => name_for(&call.receiver),
        Expr::Try(question) => name_for(&question.expr),
        Expr::Await(wait) => name_for(&wait.base),
        Expr::Reference(reference) => name_for(&reference.expr),
        Expr::Unary(unary) => name_for(&unary.expr),
        Expr::Index(index) => name_for(&index.expr),
        Expr::Paren(paren) => name_for(&paren.expr),
        Expr::Group(group) => name_for(&group.expr),
        _ => None,
    }
}
