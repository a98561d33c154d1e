//! `on = ..`

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{LitInt, parse2};

use crate::error::{Errors, list, nearest};
use crate::model::{Place, Setting};

/// The back ends, and what each may have in parentheses.
const BACK_ENDS: &[(&str, Takes)] = &[
    ("thread", Takes::Nothing),
    ("rayon", Takes::MaybePool),
    ("pool", Takes::Pool),
    ("process", Takes::MaybePool),
    ("sequential", Takes::Nothing),
    ("plan", Takes::Nothing),
];

/// The back ends of other versions.
const LATER: &[&str] = &["cluster"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    MaybePool,
    Pool,
}

pub(super) enum BackEnd {
    /// One that the loop can be handed to as it is.
    Place(Place),
    /// Other processes: those of the pool, or of one that is made for them.
    Process(Option<Place>),
    /// What is chosen at run time.
    Plan,
}

/// What the value of the option names. `None` is threads, or a mistake that has been reported.
pub(super) fn back_end(on: Setting, errors: &mut Errors) -> Option<BackEnd> {
    let Setting {
        name: option,
        value,
    } = on;
    let Some((word, argument)) = read(&value) else {
        unknown(&value, None, errors);
        return None;
    };
    let text = word.to_string();
    if LATER.contains(&text.as_str()) {
        errors.push_spanned(
            &value,
            format_args!(
                "`on = {text}` is not in this version; the back ends are {}",
                listed()
            ),
        );
        return None;
    }
    let Some((_, takes)) = BACK_ENDS.iter().find(|(name, _)| *name == text) else {
        unknown(&value, Some(&text), errors);
        return None;
    };
    let argument = argument_of(&word, argument, *takes, errors)?;
    let place = Place {
        option,
        word,
        argument,
    };
    match text.as_str() {
        "thread" => None,
        "process" => Some(BackEnd::Process(place.argument.is_some().then_some(place))),
        "plan" => Some(BackEnd::Plan),
        _ => Some(BackEnd::Place(place)),
    }
}

/// `word` or `word(..)`
fn read(value: &TokenStream) -> Option<(Ident, Option<Group>)> {
    let mut trees = value.clone().into_iter();
    let Some(TokenTree::Ident(word)) = trees.next() else {
        return None;
    };
    let argument = match trees.next() {
        None => None,
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Some(group),
        Some(_) => return None,
    };
    trees.next().is_none().then_some((word, argument))
}

/// What stands in the parentheses, if that is something that the back end takes. The outer `None`
/// is a mistake that has been reported.
#[allow(clippy::option_option)]
fn argument_of(
    word: &Ident,
    argument: Option<Group>,
    takes: Takes,
    errors: &mut Errors,
) -> Option<Option<Group>> {
    let Some(group) = argument else {
        if takes == Takes::Pool {
            errors.push(
                word.span(),
                format_args!("`{word}` is the name of no pool; write `on = {word}(&pool)`"),
            );
            return None;
        }
        return Some(None);
    };
    let content = group.stream();
    let message = if let Ok(number) = parse2::<LitInt>(content.clone()) {
        format!(
            "`on` says where items run, and `throttle` how many; write `on = {word}, throttle = \
             {number}`"
        )
    } else if takes == Takes::Nothing {
        format!("`{word}` takes nothing; write `on = {word}`")
    } else if content.is_empty() {
        match takes {
            Takes::Pool => format!("the pool is missing; write `on = {word}(&pool)`"),
            _ => format!("the pool is missing; write `on = {word}(&pool)`, or `on = {word}`"),
        }
    } else {
        return Some(Some(group));
    };
    errors.push(group.span(), message);
    None
}

fn unknown(value: &TokenStream, word: Option<&str>, errors: &mut Errors) {
    let names: Vec<&str> = BACK_ENDS.iter().map(|(name, _)| *name).collect();
    let message = match word.and_then(|word| nearest(word, &names)) {
        Some(nearest) => format!(
            "no back end `{value}`; write `on = {nearest}` (the back ends are {})",
            listed()
        ),
        None => format!("no back end `{value}`; the back ends are {}", listed()),
    };
    errors.push_spanned(value, message);
}

fn listed() -> String {
    let names: Vec<&str> = BACK_ENDS
        .iter()
        .map(|(name, takes)| match (*name, takes) {
            ("pool", _) => "pool(&pool)",
            (name, _) => name,
        })
        .collect();
    list(&names)
}
