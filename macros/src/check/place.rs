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
    ("cluster", Takes::Cluster),
    ("plan", Takes::Nothing),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    MaybePool,
    Pool,
    Cluster,
}

impl Takes {
    /// What it is called, and how it is written.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Cluster => ("cluster", "&cluster"),
            _ => ("pool", "&pool"),
        }
    }
}

pub(super) enum BackEnd {
    /// One that the loop can be handed to as it is.
    Place(Place),
    /// Other processes: those of the pool, or of one that is made for them.
    Process(Place),
    /// Other machines.
    Cluster(Place),
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
        "process" => Some(BackEnd::Process(place)),
        "cluster" => Some(BackEnd::Cluster(place)),
        "plan" => Some(BackEnd::Plan),
        _ => Some(BackEnd::Place(place)),
    }
}

/// The same for a job. The outer `None` is a mistake that has been reported.
#[allow(clippy::option_option)]
pub(super) fn job_end(on: Setting, errors: &mut Errors) -> Option<Option<BackEnd>> {
    let is_thread = on.value.to_string() == "thread";
    let end = back_end(on, errors);
    (end.is_some() || is_thread).then_some(end)
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
    let (noun, written) = takes.words();
    let Some(group) = argument else {
        if matches!(takes, Takes::Pool | Takes::Cluster) {
            errors.push(
                word.span(),
                format_args!("`{word}` is the name of no {noun}; write `on = {word}({written})`"),
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
            Takes::Pool | Takes::Cluster => {
                format!("the {noun} is missing; write `on = {word}({written})`")
            }
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
            ("cluster", _) => "cluster(&cluster)",
            (name, _) => name,
        })
        .collect();
    list(&names)
}
