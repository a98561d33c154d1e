//! `#[job]` and `#[main]`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, GenericParam, Pat, PatType, ReturnType, Safety, Signature, Type};

use crate::error::Errors;
use crate::model::{Entered, Main};
use crate::parse::attribute::{Arguments, Function, inner_attributes};

pub(crate) fn entered(
    function: Function,
    arguments: Arguments,
    errors: &mut Errors,
) -> Option<Entered> {
    let Signature {
        ident,
        inputs,
        output,
        ..
    } = &function.signature;
    let ok = is_plain(&function.signature, errors);
    let mut parameters = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        parameters.extend(parameter(index, input, errors));
    }
    let output = output_type(output, errors);
    let name = match arguments.name {
        Some(name) => {
            if name.value().is_empty() {
                errors.push(
                    name.span(),
                    "the name of a job is not empty; write one here",
                );
                return None;
            }
            name.into_token_stream()
        }
        None => {
            let ident = ident.unraw().to_string();
            quote!(::core::concat!(::core::module_path!(), "::", #ident))
        }
    };
    if !ok || parameters.len() != inputs.len() {
        return None;
    }
    Some(Entered {
        krate: arguments.krate,
        visibility: function.visibility,
        function: ident.clone(),
        parameters,
        output: output?,
        name,
    })
}

/// Whether the function is one that another process can call with what it is sent.
fn is_plain(signature: &Signature, errors: &mut Errors) -> bool {
    let mut plain = true;
    let mut say = |at: &dyn ToTokens, message: &str| {
        errors.push_spanned(at.to_token_stream(), message);
        plain = false;
    };
    if let Some(word) = &signature.asyncness {
        say(
            word,
            "a job runs to its end on the main thread of its process, where nothing polls a \
             future; drop `async`, and block on the future inside of the function",
        );
    }
    if let Safety::Unsafe(word) = &signature.safety {
        say(
            word,
            "a job is started without `unsafe`; drop it here, and put the block inside of the \
             function",
        );
    }
    if let Some(variadic) = &signature.variadic {
        say(
            variadic,
            "a job has a fixed number of parameters; name each",
        );
    }
    let types = signature
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Lifetime(_) => None,
            param => Some(param.to_token_stream()),
        });
    let types: Vec<TokenStream> = types.collect();
    if !types.is_empty() {
        say(
            &quote!(#(#types),*),
            "a job is one function in the program, found by its name, and cannot be generic; write \
             the types it is for",
        );
    }
    plain
}

fn parameter(index: usize, input: &FnArg, errors: &mut Errors) -> Option<(Ident, TokenStream)> {
    let PatType { pat, ty, .. } = match input {
        FnArg::Typed(typed) => typed,
        FnArg::Receiver(receiver) => {
            errors.push_spanned(
                receiver,
                "a job is a function by itself, not a method; take the value as a parameter with a \
                 name",
            );
            return None;
        }
    };
    if !is_owned(
        ty,
        "what a job is given comes from another process, and cannot be borrowed",
        errors,
    ) {
        return None;
    }
    let name = match &**pat {
        Pat::Ident(pat) => pat.ident.clone(),
        _ => format_ident!("argument{}", index, span = Span::mixed_site()),
    };
    Some((name, ty.to_token_stream()))
}

fn output_type(output: &ReturnType, errors: &mut Errors) -> Option<TokenStream> {
    match output {
        ReturnType::Default => Some(quote!(())),
        ReturnType::Type(_, ty) => {
            let what = "what a job answers goes to another process, and cannot be borrowed";
            is_owned(ty, what, errors).then(|| ty.to_token_stream())
        }
    }
}

/// Whether values of the type could be sent, as far as its text tells.
fn is_owned(ty: &Type, why_not: &str, errors: &mut Errors) -> bool {
    let ty = match ty {
        Type::Group(group) => &*group.elem,
        Type::Paren(paren) => &*paren.elem,
        ty => ty,
    };
    if let Type::ImplTrait(opaque) = ty {
        errors.push_spanned(
            opaque,
            "the two processes have to agree on the type; write its name",
        );
        return false;
    }
    let Some(at) = reference(ty.to_token_stream()) else {
        return true;
    };
    let message = match ty {
        Type::Reference(reference) => format!("{why_not}; write `{}`", owned(&reference.elem)),
        _ => format!("{why_not}; write an owned type, `String` for `&str`"),
    };
    match ty {
        Type::Reference(whole) => errors.push_spanned(whole, message),
        _ => errors.push(at, message),
    }
    false
}

/// Where a `&` is in a type, or a lifetime that the function is generic over.
fn reference(ty: TokenStream) -> Option<Span> {
    let mut trees = ty.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let found = match &tree {
            TokenTree::Punct(punct) if punct.as_char() == '&' => Some(punct.span()),
            TokenTree::Punct(punct) if punct.as_char() == '\'' => match trees.peek() {
                Some(TokenTree::Ident(name)) if name != "static" => Some(name.span()),
                _ => None,
            },
            TokenTree::Group(group) => reference(group.stream()),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The type that owns what a reference to `ty` refers to.
fn owned(ty: &Type) -> String {
    match ty {
        Type::Slice(slice) => format!("Vec<{}>", compact(&slice.elem)),
        Type::Path(path) if path.path.is_ident("str") => "String".into(),
        Type::Path(path)
            if path
                .path
                .segments
                .last()
                .is_some_and(|it| it.ident == "Path") =>
        {
            "PathBuf".into()
        }
        ty => compact(ty),
    }
}

/// The text of a type, without the spaces that tokens have between them.
fn compact(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    text.replace(" <", "<")
        .replace("< ", "<")
        .replace(" >", ">")
        .replace(" :: ", "::")
        .replace(" ,", ",")
}

/// Whether an attribute cannot be that of a runtime.
fn is_of_rustc(attribute: &Attribute) -> bool {
    let names = ["doc", "allow", "expect", "warn", "deny", "forbid", "inline"];
    names.iter().any(|name| attribute.path().is_ident(name))
}

pub(crate) fn main(function: Function, arguments: Arguments, errors: &mut Errors) -> Option<Main> {
    let Function {
        attributes,
        visibility,
        signature,
        head,
        block,
    } = function;
    if signature.ident != "main" {
        errors.push(
            signature.ident.span(),
            "`#[main]` is for the function that the program starts with; write it above `fn main`",
        );
        return None;
    }
    if !signature.inputs.is_empty() {
        errors.push_spanned(
            &signature.inputs,
            "`main` has no parameters; `std::env::args()` has those of the program",
        );
        return Some(Main::Unfit);
    }
    if let Some(word) = &signature.asyncness
        && attributes.iter().all(is_of_rustc)
    {
        errors.push(
            word.span,
            "`main` is `async` only under the attribute of a runtime; write that one above this \
             one",
        );
        return Some(Main::Unfit);
    }
    let krate = arguments.krate;
    if signature.asyncness.is_some() {
        return Some(Main::Async {
            krate,
            visibility,
            output: signature.output,
        });
    }
    let (first, statements) = inner_attributes(&block);
    let mut rest = proc_macro2::Group::new(block.delimiter(), statements);
    rest.set_span(block.span());
    Some(Main::Sync {
        krate,
        head,
        first,
        block: rest,
    })
}
