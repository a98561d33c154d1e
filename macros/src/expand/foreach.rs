use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use super::{checked, first_span, last_span, made_by, parenthesised, setters, stand_in, tuple};
use crate::model::{
    Capture, Closure, CratePath, Entry, Foreach, Header, Init, Kind, Place, Setting, Work,
};

/// ```text
/// foreach(ITEMS, OPTIONS, CAPTURED, |NAMES| |worker| { let mut STATE = INIT; worker.run(BODY) })
/// ```
///
/// The outer closure runs once and makes the inner one, which all workers share and each enters
/// once. So a captured name is a place of its own type in the body, and the body may change the
/// state of its worker.
///
/// All closures stand where the user's own header does. rustc then shows what it has to say about
/// them there (that one should be `move`, most of all), and it calls their captures by name, which
/// it does not do in a closure whose place is the inside of another crate's macro.
pub(crate) fn foreach(call: &Foreach) -> TokenStream {
    let items = iterated(&call.items, first_span(&call.items));
    work(&call.work, &items, None)
}

/// The loop over `items`, an iterator. As the `stage` at that place it is in the midst of a macro's call, whose place
/// would be the place of all its stages: so it is told its own.
pub(super) fn work(work: &Work, items: &TokenStream, stage: Option<Span>) -> TokenStream {
    let Work {
        krate,
        entry,
        settings,
        place,
        captures,
        ..
    } = work;
    let (function, check, scope) = match entry {
        Entry::Stream => ("foreach", "capture", None),
        Entry::Borrowed => ("foreach_borrowed", "capture_within", None),
        Entry::Within(scope) => ("foreach_within", "capture_within", Some(quote!(#scope,))),
        Entry::Process => ("foreach_process", "serial", None),
        Entry::Cluster => ("foreach_cluster", "serial", None),
        Entry::Plan => ("foreach_plan", "portable", None),
    };
    let at = stage.unwrap_or_else(Span::call_site);
    let told = stage.map(|it| quote_spanned!(it=> .here()));
    // In one piece for rustc, whose part is `$crate` with what that means.
    let here = first_span(krate).located_at(at);
    let function = Ident::new(function, here);
    let path = super::at(krate, here);
    let setters: TokenStream = settings
        .iter()
        .map(|setting| match setting.name == "rate" {
            true => setters(&[rate(krate, setting)]),
            false => setters(std::slice::from_ref(setting)),
        })
        .collect();
    // The runtime cannot see in the type of a body what it does.
    let may_leave = matches!(entry, Entry::Process | Entry::Cluster | Entry::Plan);
    let emits = may_leave && work.body.header.count == 2;
    let emits = emits.then(|| quote!(.emitting()));
    // A call that keeps its states needs a thread for them, where it would have none.
    let is_sequential = place.as_ref().is_some_and(|it| it.word == "sequential");
    let has_state = (may_leave || is_sequential) && !work.inits.is_empty();
    let has_state = has_state.then(|| quote!(.with_state()));
    let place = place.as_ref().map(|place| on(krate, entry, place));
    let values = tuple(captures.iter().map(|capture| {
        let value = &capture.value;
        match capture.kind {
            Kind::Owned | Kind::OwnedMut => checked(krate, check, capture, value.clone()),
            Kind::Borrowed => checked(krate, "borrow", capture, value.clone()),
            Kind::BorrowedMut => checked(krate, "borrow", capture, quote!(&#value)),
        }
    }));
    let names = tuple(captures.iter().map(|Capture { name, .. }| quote!(#name)));
    let bars = work.body.header.open.span();
    // Where nothing may be borrowed and the user wrote no `move`, this `move` makes the inner
    // closure the one that borrows, and that is the one at which rustc can suggest the word. For
    // a process the outer closure is a plain function, and captures nothing in any case.
    let moves = !work.owning && matches!(entry, Entry::Stream);
    let moves = moves.then(|| Ident::new("move", bars));
    let maker = quote_spanned!(bars=> #moves |#names|);
    let worker = worker(work);
    let made = made_by(krate, &work.body);
    let arguments = parenthesised(
        quote! {
            #scope
            #items,
            #krate::__private::Options::new() #told #setters #emits #has_state #place,
            #values,
            #maker #worker,
            #made
        },
        at,
    );
    quote_spanned!(here=> #path::__private::#function #arguments)
}

/// `50.per_second()` is understood without an import.
fn rate(krate: &CratePath, Setting { name, value }: &Setting) -> Setting {
    let value = quote_spanned!(first_span(value)=> {
        #[allow(unused_imports)]
        use #krate::__private::PerTime as _;
        #value
    });
    Setting {
        name: name.clone(),
        value,
    }
}

/// `.on(on_rayon_pool(&pool))`, or `.on_process()`, at the user's words.
fn on(krate: &CratePath, entry: &Entry, place: &Place) -> TokenStream {
    let Place {
        option,
        word,
        argument,
    } = place;
    let span = word.span();
    let name = match (word, argument) {
        (word, Some(_)) if word != "pool" && word != "cluster" => format!("on_{word}_pool"),
        (word, _) => format!("on_{word}"),
    };
    let function = Ident::new(&name, span);
    let argument = match argument {
        Some(group) => TokenTree::Group(group.clone()),
        None => parenthesised(TokenStream::new(), span),
    };
    // The place of such a call is its function. The method says which pool or cluster it is, or
    // nothing but the user's word, for an error to point at in a build that has no such place.
    if let Entry::Process | Entry::Cluster = entry {
        return quote!(.#function #argument);
    }
    let here = first_span(krate).located_at(span);
    let path = super::at(krate, here);
    let value = quote_spanned!(here=> #path::__private::#function #argument);
    let value = parenthesised(value, span);
    quote!(.#option #value)
}

/// `IntoIterator::into_iter(ITEMS)`, so that items which are no iterator are pointed at.
pub(super) fn iterated(items: &TokenStream, span: Span) -> TokenStream {
    // From the first token of the items to the last, for rustc to underline.
    let items = parenthesised(items.clone(), last_span(items));
    quote_spanned!(span=> ::core::iter::IntoIterator::into_iter #items)
}

/// `|worker| { let mut STATE = INIT; worker.run(BODY) }`
fn worker(call: &Work) -> TokenStream {
    let Closure {
        attributes,
        moves,
        header,
        body,
        ..
    } = &call.body;
    let Header {
        open,
        parameters,
        close,
        count,
    } = header;
    let moves = match (call.owning, moves) {
        (false, _) => None,
        (true, Some(moves)) => Some(moves.clone()),
        (true, None) => Some(Ident::new("move", open.span())),
    };
    let worker = Ident::new("worker", Span::mixed_site());
    let run = match count {
        2 => quote!(run_emitting),
        _ if call.trial.judged => quote!(run_judged),
        _ => quote!(run),
    };
    let copying = call.trial.retry.as_ref().map(|retry| {
        let copying = Ident::new("copying", retry.span());
        quote!(#worker.#copying();)
    });
    // Before the states are made: they may not be needed.
    let journalling = call.trial.journal.as_ref().map(|journal| {
        let journalling = Ident::new("journalling", journal.span());
        quote! {
            if !#worker.#journalling() {
                return;
            }
        }
    });
    let judge = call.trial.judged.then(|| judge(call));
    let bar = |at: &Punct| {
        let mut bar = Punct::new('|', Spacing::Alone);
        bar.set_span(at.span());
        bar
    };
    let (left, right) = (bar(open), bar(close));
    let inits = call
        .inits
        .iter()
        .map(|Init { name, value }| quote!(#[allow(unused_mut)] let mut #name = #value;));
    let repairs = call.captures.iter().map(repair);
    // Clippy would have `|x| f(x)` be `f`, which is no body.
    let mut block = Group::new(
        Delimiter::Brace,
        quote! {
            #(#repairs)*
            #journalling
            #(#inits)*
            #copying
            #[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]
            #worker.#run(#attributes #open #parameters #close #body #judge);
        },
    );
    block.set_span(close.span());
    quote!(#moves #left #worker #right #block)
}

/// `, |value| JUDGEMENT`: whether what the body answers is a failure, and worth another try.
fn judge(call: &Work) -> TokenStream {
    let krate = &call.krate;
    let judge = quote!(#krate::__private::judge);
    let value = Ident::new("value", Span::mixed_site());
    let failed = quote!({
        #[allow(unused_imports)]
        use #judge::{OfAny as _, OfResult as _};
        (&#judge::Value(#value)).failed()
    });
    let judgement = match &call.trial.retry_if {
        None => quote!(#judge::Judgement::of(#failed)),
        Some(again) => quote!(#judge::Judgement::asked(#failed, #value, #again)),
    };
    quote!(, |#value| #judgement)
}

/// Gives a name that was captured in a way it cannot be the type it would have had.
fn repair(Capture { name, kind, .. }: &Capture) -> TokenStream {
    let span = name.span();
    match kind {
        Kind::Owned | Kind::Borrowed => TokenStream::new(),
        Kind::OwnedMut => {
            let value = stand_in(quote!(&#name));
            quote_spanned!(span=> let mut #name = #value;)
        }
        Kind::BorrowedMut => {
            let value = stand_in(quote!(#name));
            quote_spanned!(span=> let #name = &mut #value;)
        }
    }
}
