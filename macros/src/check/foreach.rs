use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::LitInt;

use super::place::{self, BackEnd};
use super::{Clauses, clauses, synchronous};
use crate::error::Errors;
use crate::model::{Body, Call, Capture, Closure, Entry, Foreach, Kind, Setting, Trial, Work};
use crate::parse::{Form, is_borrow};

pub(crate) fn foreach(mut call: Call, errors: &mut Errors) -> Option<Foreach> {
    let items = call.subject.take()?;
    let work = work(call, Form::Foreach, Input::of(&items), errors)?;
    Some(Foreach { items, work })
}

/// What a loop runs over.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// Something that it owns, as far as can be seen.
    Owned,
    /// `&items`
    Borrowed(&'a TokenStream),
    /// What another loop makes, while it makes it.
    Stream,
}

impl<'a> Input<'a> {
    pub(super) fn of(items: &'a TokenStream) -> Self {
        match is_borrow(items) {
            true => Input::Borrowed(items),
            false => Input::Owned,
        }
    }
}

pub(super) fn work(call: Call, form: Form, input: Input<'_>, errors: &mut Errors) -> Option<Work> {
    let Clauses {
        mut settings,
        inits,
        captures,
        using,
    } = clauses(call.clauses, &call.used, form, errors);
    settings.retain(|setting| setting.name != "throttle" || not_zero(&setting.value, errors));
    let within = taken(&mut settings, "within");
    let on = taken(&mut settings, "on");
    let back_end = on.and_then(|on| place::back_end(on, errors));
    let Body::Closure(body) = call.body else {
        return None;
    };
    let body = item_closure(body, errors)?;
    let trial = trial(&mut settings, body.header.count, errors);
    let borrowed = captures.iter().find(|capture| borrows(capture));
    let mut entry = match within {
        Some(within) => Entry::Within(within.value),
        None if matches!(input, Input::Borrowed(_)) || borrowed.is_some() => Entry::Borrowed,
        None => Entry::Stream,
    };
    if let Some(elsewhere) = back_end.as_ref().and_then(Elsewhere::of) {
        // Without a mistake, that is. What was meant with one is a loop that lends.
        if nothing_lent(elsewhere, &entry, input, &captures, errors) {
            entry = elsewhere.entry();
        }
    } else if let (Entry::Borrowed, Input::Stream, Some(capture)) = (&entry, input, borrowed) {
        not_behind_a_stage(capture, errors);
    }
    let is_function = matches!(entry, Entry::Process | Entry::Cluster | Entry::Plan);
    let place = match back_end {
        Some(BackEnd::Place(place)) => Some(place),
        Some(BackEnd::Process(place) | BackEnd::Cluster(place)) => {
            Some(place).filter(|_| is_function)
        }
        Some(BackEnd::Plan) | None => None,
    };
    Some(Work {
        krate: call.krate,
        owning: is_function || using.is_some() || !call.used.is_empty() || body.moves.is_some(),
        entry,
        settings,
        place,
        trial,
        inits,
        captures,
        body,
    })
}

fn borrows(capture: &Capture) -> bool {
    matches!(capture.kind, Kind::Borrowed | Kind::BorrowedMut)
}

/// Takes an option out of the others.
fn taken(settings: &mut Vec<Setting>, name: &str) -> Option<Setting> {
    let at = settings.iter().position(|setting| setting.name == name)?;
    Some(settings.remove(at))
}

/// What the options say of items that fail. An item that emits has no value to be asked.
fn trial(settings: &mut Vec<Setting>, parameters: usize, errors: &mut Errors) -> Trial {
    let named = |name: &str| settings.iter().find(|setting| setting.name == name);
    let retry = named("retry").map(|setting| setting.name.clone());
    let journal = named("journal").map(|setting| setting.name.clone());
    let asked = ["retry", "halt", "progress", "journal"]
        .into_iter()
        .any(|it| named(it).is_some());
    let judged = parameters == 1 && asked;
    journal_fits(&journal, named("resume"), parameters, errors);
    let retry_if = taken(settings, "retry_if").filter(|retry_if| {
        let problem = match (&retry, parameters) {
            (None, _) => "`retry_if` says which results are worth another try, and there is none; add `retry = 3`",
            (_, 1) => return true,
            _ => "an item that emits has no result for `retry_if` to look at; panic in the body to have it tried again",
        };
        errors.push(retry_if.name.span(), problem);
        false
    });
    Trial {
        retry,
        retry_if: retry_if.map(|setting| setting.value),
        journal: journal.filter(|_| parameters == 1),
        judged,
    }
}

/// How sure it is that the body runs in another process.
#[derive(Clone, Copy)]
enum Elsewhere {
    Process,
    Cluster,
    Plan,
}

impl Elsewhere {
    fn of(back_end: &BackEnd) -> Option<Self> {
        match back_end {
            BackEnd::Place(_) => None,
            BackEnd::Process(_) => Some(Self::Process),
            BackEnd::Cluster(_) => Some(Self::Cluster),
            BackEnd::Plan => Some(Self::Plan),
        }
    }

    fn entry(self) -> Entry {
        match self {
            Self::Process => Entry::Process,
            Self::Cluster => Entry::Cluster,
            Self::Plan => Entry::Plan,
        }
    }

    /// Who cannot borrow.
    fn who(self) -> &'static str {
        match self {
            Self::Process => "another process",
            Self::Cluster => "another machine",
            Self::Plan => "a plan may choose another process, which",
        }
    }

    /// Why a scope is of no use.
    fn unlike_threads(self) -> &'static str {
        match self {
            Self::Process => "nothing can be lent to another process",
            Self::Cluster => "nothing can be lent to another machine",
            Self::Plan => "a plan may choose another process",
        }
    }
}

/// A journal keeps one value for each item.
fn journal_fits(
    journal: &Option<Ident>,
    resume: Option<&Setting>,
    parameters: usize,
    errors: &mut Errors,
) {
    match (journal, resume) {
        (Some(journal), _) if parameters == 2 => errors.push(
            journal.span(),
            "a journal keeps one value for each item, and this body emits any number; answer them as one: `|item| { .. vec }`",
        ),
        (None, Some(resume)) => errors.push(
            resume.name.span(),
            "`resume` goes on with what a journal has, and there is none; add `journal = \"run.jsonl\"`",
        ),
        _ => {}
    }
}

/// Whether another process could do with what the call says. Says what it could not do with.
fn nothing_lent(
    elsewhere: Elsewhere,
    entry: &Entry,
    input: Input<'_>,
    captures: &[Capture],
    errors: &mut Errors,
) -> bool {
    let mut nothing = true;
    let who = elsewhere.who();
    if let Entry::Within(scope) = entry {
        let reason = elsewhere.unlike_threads();
        errors.push_spanned(
            scope,
            format_args!("a scope lends to threads, and {reason}; leave `within` out"),
        );
        nothing = false;
    }
    if let Input::Borrowed(items) = input {
        let target = lent(items);
        errors.push_spanned(
            items,
            format_args!(
                "{who} cannot borrow items from this one; write `{target}` to send them, or \
                 `{target}.clone()` to send copies"
            ),
        );
        nothing = false;
    }
    for capture in captures.iter().filter(|capture| borrows(capture)) {
        nothing = false;
        // `&mut` has been reported, in words that fit here too.
        if capture.kind == Kind::Borrowed {
            let target = lent(&capture.value);
            errors.push_spanned(
                &capture.value,
                format_args!(
                    "{who} cannot borrow from this one; write `{target}` to send the value, or \
                     `{target}.clone()` to send a copy"
                ),
            );
        }
    }
    nothing
}

/// What stands behind the `&`.
fn lent(borrow: &TokenStream) -> TokenStream {
    let mut trees = borrow.clone().into_iter();
    match trees.next() {
        Some(TokenTree::Punct(_)) => trees.collect(),
        // `(&items)`
        Some(TokenTree::Group(group)) => lent(&group.stream()),
        first => first.into_iter().collect(),
    }
}

/// A stage that lends would have to wait for all that comes into it.
fn not_behind_a_stage(capture: &Capture, errors: &mut Errors) {
    let target = lent(&capture.value);
    errors.push_spanned(
        &capture.value,
        format_args!(
            "a stage behind a parallel one streams, and lends nothing while it does; add `within = \
             scope` to it, or write `{target}.clone()` to move a copy in"
        ),
    );
}

fn not_zero(value: &TokenStream, errors: &mut Errors) -> bool {
    let zero = syn::parse2::<LitInt>(value.clone()).is_ok_and(|n| n.base10_digits() == "0");
    if zero {
        errors.push_spanned(
            value,
            "a throttle of 0 would run nothing; write 1 for one item at a time",
        );
    }
    !zero
}

fn item_closure(mut body: Closure, errors: &mut Errors) -> Option<Closure> {
    synchronous(&body, errors)?;
    match body.header.count {
        1 | 2 => Some(body),
        0 => {
            errors.push(
                body.header.open.span(),
                "the closure takes the item; write `|item|`, or `|_|` if it has no use for it",
            );
            body.header.parameters = quote!(_);
            body.header.count = 1;
            Some(body)
        }
        _ => {
            errors.push_spanned(
                &body.header.parameters,
                "the closure takes the item, and the job if it emits; write `|item|` or `|item, job|`",
            );
            None
        }
    }
}
