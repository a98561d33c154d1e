//! What calls become, and that every call becomes something.

use proc_macro2::TokenStream;
use quote::quote;

use crate::error::nearest;
use crate::{
    expand_entered, expand_foreach, expand_invocation, expand_main, expand_pipeline,
    expand_process_job, expand_thread_job,
};

mod attributes;
mod back_ends;
mod pipelines;
mod processes;
mod runspaces;
mod snapshots;

/// The expansion of `foreach_parallel!`, formatted; it must parse as the value of a `let`.
fn foreach(call: TokenStream) -> String {
    formatted(expand_foreach(quote!(::runspace, #call)))
}

/// The expansion of `start_thread_job!`.
fn job(call: TokenStream) -> String {
    formatted(expand_thread_job(quote!(::runspace, #call)))
}

/// The expansion of `start_job!`.
fn process_job(call: TokenStream) -> String {
    formatted(expand_process_job(quote!(::runspace, #call)))
}

/// The expansion of `invoke!`.
fn invoke(call: TokenStream) -> String {
    formatted(expand_invocation(quote!(::runspace, #call)))
}

/// The expansion of `pipeline!`.
fn pipeline(call: TokenStream) -> String {
    formatted(expand_pipeline(quote!(::runspace, #call)))
}

/// What a function under `#[job(..)]` becomes.
fn entered(arguments: TokenStream, item: TokenStream) -> String {
    formatted_items(expand_entered(arguments, item))
}

/// What `main` under `#[main(..)]` becomes.
fn main(arguments: TokenStream, item: TokenStream) -> String {
    formatted_items(expand_main(arguments, item))
}

fn formatted(expansion: TokenStream) -> String {
    formatted_items(quote!(fn f() { let call = #expansion; }))
}

fn formatted_items(items: TokenStream) -> String {
    let file = syn::parse2(items).expect("an expression or items");
    // One line, so that the tests do not depend on where lines are broken.
    let lines = prettyplease::unparse(&file);
    let words: Vec<&str> = lines.split_whitespace().collect();
    words.join(" ").replace("( ", "(").replace(") .", ").")
}

/// Source that is no valid Rust in the eyes of syn, as it is while it is being typed.
fn typed(source: &str) -> TokenStream {
    source.parse().expect("tokens")
}

#[track_caller]
fn assert_has(expansion: &str, parts: &[&str]) {
    for part in parts {
        assert!(expansion.contains(part), "no `{part}` in:\n{expansion}");
    }
}

#[track_caller]
fn assert_lacks(expansion: &str, parts: &[&str]) {
    for part in parts {
        assert!(!expansion.contains(part), "`{part}` in:\n{expansion}");
    }
}

#[test]
fn plain_loop_is_one_call() {
    let code = foreach(quote!(0..3, |x| x + 1));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::foreach(",
            "::core::iter::IntoIterator::into_iter(0..3)",
            "::runspace::__private::Options::new(), ()",
            "move |()| |worker| {",
            "worker.run(|x| x + 1);",
        ],
    );
    assert_lacks(&code, &["compile_error", ".throttle", "capture"]);
}

#[test]
fn only_options_that_are_given_are_set() {
    let code = foreach(quote!(
        items,
        ordered = true,
        name = format!("n"),
        throttle = 2 + 2,
        |x| x
    ));
    assert_has(
        &code,
        &["Options::new().ordered(true).name(format!(\"n\")).throttle(2 + 2)"],
    );
    assert_lacks(&code, &["buffer", "compile_error"]);
}

#[test]
fn captures_are_checked_bound_and_owned() {
    let code = foreach(quote!(
        items,
        using(a, b.clone(), d = x.y(), e.m()?.n(1)),
        |x| a
    ));
    assert_has(
        &code,
        &[
            "__private::capture(a)",
            "__private::capture(b.clone())",
            "__private::capture(x.y())",
            "__private::capture(e.m()?.n(1))",
            "|(a, (b, (d, (e, ()))))| move |worker|",
        ],
    );
    assert_lacks(&code, &["foreach_borrowed", "compile_error", "move |(a"]);
}

#[test]
fn borrowing_waits() {
    for call in [
        quote!(&items, |x| x),
        quote!((&items[1..]), |x| x),
        quote!(items, using(&a), |x| x),
        quote!(items, using(a = &b.c), |x| x),
    ] {
        let code = foreach(call);
        assert_has(&code, &["__private::foreach_borrowed("]);
        assert_lacks(&code, &["compile_error", "move |()|"]);
    }
    let code = foreach(quote!(&items, using(&a, b), |x| x));
    assert_has(
        &code,
        &["__private::borrow(&a)", "__private::capture_within(b)"],
    );
}

#[test]
fn expression_that_begins_with_a_borrow_streams() {
    assert_has(
        &foreach(quote!(&a - &b, |x| x)),
        &["__private::foreach(", "&a - &b"],
    );
}

#[test]
fn scope_comes_first() {
    let code = foreach(quote!(&items, within = scope, using(a), |x| x));
    assert_has(
        &code,
        &[
            "__private::foreach_within(scope, ::core",
            "__private::capture_within(a)",
        ],
    );
    assert_lacks(&code, &[".within"]);
}

#[test]
fn init_is_a_variable_of_each_worker() {
    let code = foreach(quote!(items, init(db = open(), n = 0), |x| db.get(x)));
    assert_has(
        &code,
        &[
            "|worker| { #[allow(unused_mut)] let mut db = open();",
            "let mut n = 0;",
        ],
    );
}

#[test]
fn move_goes_to_the_worker() {
    assert_has(
        &foreach(quote!(items, move |x| x)),
        &["|()| move |worker|", "run(|x| x)"],
    );
    assert_has(
        &foreach(quote!(items, using(), |x| x)),
        &["|()| move |worker|"],
    );
}

#[test]
fn second_parameter_emits() {
    let code = foreach(quote!(items, |x: Map<K, V>, job| job.emit(x)));
    assert_has(
        &code,
        &["worker.run_emitting(|x: Map<K, V>, job| job.emit(x))"],
    );
    assert_has(
        &foreach(quote!(items, |x: Map<K, V>| x)),
        &["worker.run(|x: Map<K, V>| x)"],
    );
    assert_has(&foreach(quote!(items, |x: fn(A) -> B| x)), &["worker.run("]);
}

#[test]
fn header_is_kept_word_for_word() {
    let code = foreach(quote!(items, |Foo { a, .. }: Foo| -> Result<A, B> {
        Ok(a)
    },));
    assert_has(
        &code,
        &["run(|Foo { a, .. }: Foo| -> Result<A, B> { Ok(a) });"],
    );
    assert_has(
        &foreach(quote!(items, |#[cfg(a)] x, y| 1)),
        &["run_emitting("],
    );
}

#[test]
fn commas_of_generic_arguments_belong_to_what_they_stand_in() {
    let code = foreach(quote!(map::<A, B>(items), throttle = n::<A, B>(), |x| f::<
        A,
        B,
    >(
        x
    )));
    assert_has(
        &code,
        &[
            "map::<A, B>(items)",
            ".throttle(n::<A, B>())",
            "f::<A, B>(x)",
        ],
    );
    let code = foreach(quote!(items.map(|a, b| a), |x| x.fold(0, |a, b| a + b)));
    assert_has(
        &code,
        &["items.map(|a, b| a)", "run(|x| x.fold(0, |a, b| a + b))"],
    );
}

#[test]
fn body_that_is_being_typed_is_handed_on() {
    let tokens = expand_foreach(typed("::runspace, items, using(a), |x| { x. }"));
    assert!(tokens.to_string().contains("{ x . }"), "{tokens}");
    assert!(!tokens.to_string().contains("compile_error"), "{tokens}");
    let tokens = expand_foreach(typed("::runspace, items., throttle = a., using(b.), |x| x"));
    assert!(!tokens.to_string().contains("compile_error"), "{tokens}");
    assert!(tokens.to_string().contains("capture (b .)"), "{tokens}");
}

#[test]
fn dollar_using_captures() {
    let source = "::runspace, items, |x| { f($using:a, vec![$using:b.c, $using:a]) }";
    let code = formatted(expand_foreach(typed(source)));
    assert_has(
        &code,
        &[
            "capture(a)",
            "capture(b)",
            "|(a, (b, ()))| move",
            "vec![b.c, a]",
        ],
    );
    assert_lacks(&code, &["$", "compile_error"]);
    let source = "::runspace, items, using(a.clone()), |x| $using:a";
    let code = formatted(expand_foreach(typed(source)));
    assert_has(&code, &["|(a, ())| move"]);
    let code = formatted(expand_thread_job(typed("::runspace, let b = $using:a; b")));
    assert_has(&code, &["send()(a)", "move |(a, ())| { let b = a; b }"]);
}

#[test]
fn dollar_using_in_a_string_that_is_formatted() {
    let source = r##"::runspace, items, |x| { log(r#"{$using:a}"#); write!(f, r#"{x} {$using:a:?} {{$using}}"#, $using:b) }"##;
    let code = formatted(expand_foreach(typed(source)));
    assert_has(
        &code,
        &[
            "compile_error!",
            "write `{a}` here and `using(a)` in front of the body",
            "capture(a)",
            "capture(b)",
            // Meant as it stands: `log` is no macro that is known to format.
            r##"log(r#"{$using:a}"#)"##,
            r##"write!(f, r#"{x} {a:?} {{$using}}"#, b)"##,
        ],
    );
    // Nor does a body have a mistake that only has such a text.
    let source = r#"::runspace, items, |x| log("{$using:a}", println!("{{$using:x}} $using:a"))"#;
    let code = formatted(expand_foreach(typed(source)));
    assert_lacks(&code, &["compile_error", "capture("]);
}

#[test]
fn lists_under_another_name_are_read() {
    for (list, meant) in [
        ("usng(a)", "using"),
        ("use(a)", "using"),
        ("move(a)", "using"),
        ("captures(a)", "using"),
        ("using!(a)", "using"),
        ("inti(a = 1)", "init"),
        ("init!(a = 1)", "init"),
    ] {
        let call = format!("::runspace, items, {list}, |x| BODY");
        let code = formatted(expand_foreach(typed(&call)));
        let message = format!("the list is called `{meant}`; write `{meant}(..)`");
        let read = ["__private::capture(a)", "let mut a = 1;"];
        let read = read[usize::from(meant == "init")];
        assert_has(&code, &["compile_error!", &message, read, "BODY"]);
    }
    let code = formatted(expand_thread_job(typed("::runspace, usng(a), { BODY }")));
    assert_has(&code, &["compile_error!", "send()(a)", "BODY"]);
    // In another process, that is what a function is called.
    let code = formatted(expand_process_job(typed("::runspace, used(a)")));
    assert_has(&code, &["<used>::runspace_job(a)"]);
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn other_dollars_are_left_alone() {
    let source = "::runspace, items, |x| { macro_rules! m { ($a:expr) => { $a } } m!(x) }";
    let code = formatted(expand_foreach(typed(source)));
    assert_has(&code, &["$a"]);
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn job_of_one_value() {
    let code = job(quote!(name = "n", queue = &q, using(a, b.clone()), {
        a + b
    }));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::thread_job(",
            "__private::JobOptions::new().name(\"n\").queue(&q)",
            "__private::send()(a)",
            "__private::send()(b.clone())",
            "move |(a, (b, ()))| { a + b }",
        ],
    );
}

#[test]
fn job_that_emits() {
    for call in [
        quote!(using(a), |job| job.emit(a)),
        quote!(using(a), move |job| job.emit(a)),
    ] {
        let code = job(call);
        assert_has(
            &code,
            &[
                "__private::thread_job_emitting(",
                "move |(a, ()), job| job.emit(a)",
            ],
        );
    }
}

#[test]
fn statements_are_told_from_clauses() {
    for (statements, body) in [
        ("let a = 1; a + 1", "{ let a = 1; a + 1 }"),
        ("name = 5; foo()", "{ name = 5; foo() }"),
        ("name = f::<A, B>(); foo()", "{ name = f::<A, B>(); foo() }"),
        ("total = 5", "{ total = 5 }"),
        ("using(a); foo()", "{ using(a); foo() }"),
        ("a == b", "{ a == b }"),
        ("run::<A, B>()", "{ run::<A, B>() }"),
        ("{ 1 } + 2", "{ { 1 } + 2 }"),
        ("{ 1 }", "{ 1 }"),
        ("name::run()", "{ name::run() }"),
        ("name.clone()", "{ name.clone() }"),
        ("queue", "{ queue }"),
        ("'a: loop { break 'a 1 }", "{ 'a: loop { break 'a 1 } }"),
    ] {
        let tokens = typed(&format!("::runspace, {statements}"));
        let code = expand_thread_job(tokens).to_string();
        let body = format!("move | () | {}", typed(body));
        assert_has(&code, &[&body]);
        assert_lacks(&code, &["compile_error"]);
    }
}

#[test]
fn mistake_leaves_the_expansion() {
    for call in [
        "items, throtle = 4, |x| BODY",
        "items, throttle = 4, throttle = 4, |x| BODY",
        "items, throttle = 0, |x| BODY",
        "items, throttle: 4, |x| BODY",
        "items, throttle => 4, |x| BODY",
        "items, throttle, |x| BODY",
        "items, throttle = , |x| BODY",
        "items; throttle = 4; |x| BODY",
        "items => |x| BODY",
        "x in items, |x| BODY",
        "items, on = cluster, |x| BODY",
        "items, on = fiber, |x| BODY",
        "items, || BODY",
        "items, |x| BODY, throttle = 4",
        "items, |x| { BODY }, what is this",
        "items, using(a) |x| BODY",
        "items, using(a), using(b), |x| BODY",
        "items, init(a = 1), init(b = 1), |x| BODY",
        "items, init(a), |x| BODY",
        "items, init(a = ), |x| BODY",
        "items, using[a], |x| BODY",
        "items, using = (a), |x| BODY",
        "items, using(a, a), |x| BODY",
        "items, using(ref a), |x| BODY",
        "items, using(ref mut a), |x| BODY",
        "items, using(mut a), |x| BODY",
        "items, using(mut a = b), |x| BODY",
        "items, using(clone a), |x| BODY",
        "items, using(move a), |x| BODY",
        "items, using(a as b), |x| BODY",
        "items, using(a: clone), |x| BODY",
        "items, using(a: b), |x| BODY",
        "items, using(self), |x| BODY",
        "items, using(self = a), |x| BODY",
        "items, using(a.b), |x| BODY",
        "items, using(f(a)), |x| BODY",
        "items, using(1), |x| BODY",
        "items, using(&a.b), |x| BODY",
        "items, using(&mut a), |x| BODY",
        "items, using(a = &mut b), |x| BODY",
        "items, using(a = ), |x| BODY",
        "items, using(,), |x| BODY",
        "items, 5, |x| BODY",
        "items, |x| { BODY; $using:self }",
        "items, |x| { BODY; $using(a) }",
        "items, |x| { BODY; $using }",
    ] {
        let code = formatted(expand_foreach(typed(&format!("::runspace, {call}"))));
        assert_has(
            &code,
            &["compile_error!", "__private::foreach", "BODY", ".run("],
        );
    }
    for call in [
        "nme = 4, { BODY }",
        "name: 4, { BODY }",
        "init(a = 1), { BODY }",
        "using(a) { BODY }",
        "using(&a), { BODY }",
        "using(&mut a), { BODY }",
        "using(ref a), { BODY }",
        "using(mut a), { BODY }",
        "|| { BODY }",
        "name = 4, BODY",
        "{ BODY }, name = 4",
    ] {
        let code = formatted(expand_thread_job(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", "__private::thread_job(", "BODY"]);
    }
}

#[test]
fn hopeless_call_is_its_error() {
    for call in [
        "",
        "|x| x",
        "throttle = 4, |x| x",
        "using(a), |x| x",
        "for x in items { x }",
        "items",
        "items,",
        "items, throttle = 4",
        "items, throttle = 4 |x| { x }",
        "items, work",
        "items, { x }",
        "items, |a, b, c| a",
        "items, async |x| x",
        "items, async move |x| x",
        "items, |x|",
        "items, |x",
        ", |x| x",
        "; |x| x",
    ] {
        let code = formatted(expand_foreach(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!"]);
        assert_lacks(&code, &["__private", "unreachable"]);
    }
    for call in [
        "",
        "name = 4",
        "name = 4,",
        "using(a)",
        "|a, b| a",
        "async |job| a",
        "|job|",
    ] {
        let code = formatted(expand_thread_job(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!"]);
        assert_lacks(&code, &["__private"]);
    }
}

#[test]
fn all_mistakes_show_at_once() {
    let call = "items, throtle = 4, buffer: 2, using(ref a, b.c), |x| x, ordered = true";
    let code = formatted(expand_foreach(typed(&format!("::runspace, {call}"))));
    assert_eq!(code.matches("compile_error!").count(), 5, "{code}");
    assert_has(&code, &[".buffer(2).ordered(true)", "borrow(&a)"]);
    let call = "items, throtle = 4, buffer: 2";
    let code = formatted(expand_foreach(typed(&format!("::runspace, {call}"))));
    assert_has(&code, &["let call = { ::core::compile_error!"]);
    assert!(code.contains("the closure is missing"), "{code}");
}

#[test]
fn errors_name_the_rewrite() {
    for (call, part) in [
        ("items, throtle = 4, |x| x", "write `throttle`"),
        ("items, using(ref a), |x| x", "write `&a`"),
        ("items, using(clone a), |x| x", "write `a.clone()`"),
        ("items, using(a: clone), |x| x", "write `a.clone()`"),
        ("items, using(a as b), |x| x", "write `b = a`"),
        ("items, using(self), |x| x", "write `this = self`"),
        (
            "items, using(mut a), |x| x",
            "`let mut a = a.clone();` in the body",
        ),
        ("items, using(&mut a), |x| x", "`Mutex` or an atomic"),
        ("items, throttle: 4, |x| x", "write `throttle = 4`"),
        ("items, work, ", "write `|item| work(item)`"),
    ] {
        let code = formatted(expand_foreach(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &[part]);
    }
}

/// Every prefix of a call is a call that somebody is typing.
#[test]
fn no_prefix_is_fatal_to_the_macro() {
    let call = "::runspace, &items . iter (), throttle = 4, ordered = true, init(a = 1, b = f(2)), \
                using(a, b.clone(), &c, d = e::<A, B>(1)), move |x: T, job| -> U { $using:x; x }, \
                name = 5; { 1 } | filter::<A, B>(|x| x)?.y() || a::b(c), file = d | foreach_parallel(|x| \
                x) | collect";
    let trees: Vec<_> = typed(call).into_iter().collect();
    for start in 0..trees.len() {
        for end in start..=trees.len() {
            let part: TokenStream = trees[start..end].iter().cloned().collect();
            let _ = expand_foreach(part.clone());
            let _ = expand_process_job(part.clone());
            let _ = expand_invocation(part.clone());
            let _ = expand_pipeline(part.clone());
            let _ = expand_thread_job(part);
        }
    }
}

#[test]
fn nearest_word() {
    let known = ["throttle", "ordered", "buffer", "name", "within", "on"];
    assert_eq!(nearest("throtle", &known), Some("throttle"));
    assert_eq!(nearest("throttle_limit", &known), Some("throttle"));
    assert_eq!(nearest("order", &known), Some("ordered"));
    assert_eq!(nearest("nmae", &known), Some("name"));
    assert_eq!(nearest("colour", &known), None);
    assert_eq!(nearest("timeout", &known), None);
}
