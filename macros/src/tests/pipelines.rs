//! `pipeline!`

use quote::quote;

use super::{assert_has, assert_lacks, expand_pipeline, formatted, pipeline, typed};

const INTO: &str = "::core::iter::IntoIterator::into_iter";

#[test]
fn stages_are_calls_around_each_other() {
    let code = pipeline(quote!(
        0..3 | foreach_parallel(throttle = 2, using(a), |x| x | a)
            | filter(|y| y | 1)
            | foreach_parallel(|z, job| job.emit(z))
            | collect::<Map<K, V>>()
    ));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::foreach(::core::convert::identity(::runspace::",
            &format!(
                "::foreach({INTO}(0..3), ::runspace::__private::Options::new().here().throttle(2)"
            ),
            "move |worker| {",
            "worker.run(|x| x | a);",
            ".filter(|y| y | 1), ), ::runspace::__private::Options::new().here(), ()",
            "worker.run_emitting(|z, job| job.emit(z));",
        ],
    );
    assert!(code.ends_with(").collect::<Map<K, V>>(); }"), "{code}");
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn source_is_iterated_for_a_method_too() {
    let code = pipeline(quote!(list | map(f) | take(2)));
    assert_has(
        &code,
        &[&format!("let call = {INTO}(list).map(f).take(2);")],
    );
    let code = pipeline(quote!(-1 as i64..4 | count(),));
    assert_has(
        &code,
        &[&format!("let call = {INTO}(-1 as i64..4).count();")],
    );
    let code = pipeline(quote!(a::<B, C>(d) | count()));
    assert_has(&code, &[&format!("{INTO}(a::<B, C>(d)).count();")]);
}

#[test]
fn parentheses_are_for_a_bar_of_the_source() {
    let code = pipeline(quote!((a | b) | count()));
    assert_has(&code, &[&format!("{INTO}(a | b).count();")]);
    let code = pipeline(quote!((a, b) | count()));
    assert_has(&code, &[&format!("{INTO}((a, b)).count();")]);
}

#[test]
fn suffix_belongs_to_its_stage() {
    let code = pipeline(quote!(
        a | foreach_parallel(|x| x).outcomes().map::<B, _>(f) | collect::<R<C, D>>()?
    ));
    assert_has(
        &code,
        &[").outcomes().map::<B, _>(f).collect::<R<C, D>>()?;"],
    );
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn first_parallel_stage_may_borrow() {
    for call in [
        quote!(&a | foreach_parallel(|x| x) | foreach_parallel(|x| x)),
        quote!(&a | cloned() | foreach_parallel(|x| x) | foreach_parallel(|x| x)),
        quote!(a | foreach_parallel(using(&b), |x| x) | foreach_parallel(|x| x)),
    ] {
        let code = pipeline(call);
        assert_has(
            &code,
            &["__private::foreach_borrowed(", "__private::foreach("],
        );
        assert_lacks(&code, &["compile_error"]);
    }
}

#[test]
fn later_stage_borrows_in_a_scope() {
    let code = pipeline(quote!(
        a | foreach_parallel(|x| x) | foreach_parallel(using(&b), |x| x + b)
    ));
    assert_has(
        &code,
        &[
            "compile_error!",
            "add `within = scope`",
            "__private::foreach_borrowed(",
        ],
    );
    let code = pipeline(quote!(
        a | foreach_parallel(|x| x) | foreach_parallel(within = s, using(&b), |x| x + b)
    ));
    assert_has(
        &code,
        &["__private::foreach_within(s,", "__private::borrow(&b)"],
    );
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn stages_run_where_they_say() {
    let code = pipeline(quote!(
        a | foreach_parallel(on = rayon, |x| x) | foreach_parallel(on = process, using(b), |x| x)
    ));
    assert_has(
        &code,
        &["on_rayon()", "__private::foreach_process(", "serial()(b)"],
    );
    let code = pipeline(quote!(
        a | foreach_parallel(|x| x) | foreach_parallel(on = plan, |x| x)
    ));
    assert_has(&code, &["__private::foreach_plan(", "move |worker|"]);
    let code = pipeline(quote!(&a | foreach_parallel(on = process, |x| x)));
    assert_has(&code, &["compile_error!", "write `a` to send them"]);
}

#[test]
fn mistake_leaves_the_expansion() {
    for (call, part) in [
        ("a, foreach_parallel(|x| BODY)", "separated by `|`, not `,`"),
        ("a; foreach_parallel(|x| BODY)", "separated by `|`, not `;`"),
        (
            "a => foreach_parallel(|x| BODY)",
            "separated by `|`, not `=>`",
        ),
        ("a || foreach_parallel(|x| BODY)", "`||` is no pipe"),
        ("0.. | foreach_parallel(|x| BODY)", "as in `(0..)`"),
        ("a |> foreach_parallel(|x| BODY)", "`|>` is no pipe"),
        (
            "a | foreach_parallel(|x| BODY) filter(f)",
            "a `|` is missing",
        ),
        ("a | foreach_parallel(|x| BODY), filter(f)", "not `,`"),
        (
            "a | foreach_parallel(|x| BODY).b::<C, D>(), filter(f)",
            "not `,`",
        ),
        ("a | foreach_parallel!(|x| BODY)", "without the `!`"),
        (
            "a | foreach_parallel { |x| BODY }",
            "arguments in parentheses",
        ),
        ("a | foreach_paralel(|x| BODY)", "write `foreach_parallel`"),
        (
            "a | foreach_parallel(|x| BODY) | collect",
            "write `collect()`",
        ),
        (
            "a | foreach_parallel(throtle = 2, |x| BODY)",
            "write `throttle`",
        ),
        ("a | foreach_parallel(b, |x| BODY)", "in front of its `|`"),
        ("a | foreach_parallel(using(ref b), |x| BODY)", "write `&b`"),
        ("a | foreach_parallel(|| BODY)", "write `|item|`"),
    ] {
        let code = formatted(expand_pipeline(typed(&format!("::runspace, {call}"))));
        assert_has(
            &code,
            &["compile_error!", part, "__private::foreach", "BODY"],
        );
    }
}

#[test]
fn hopeless_call_is_its_error() {
    for (call, part) in [
        ("", "nothing to run"),
        ("| count()", "the source is missing"),
        (", count()", "the source is missing"),
        ("a", "a source alone is no pipeline"),
        ("a,", "a source alone is no pipeline"),
        ("a |", "a stage is missing after this"),
        ("a | | count()", "a stage is missing after this"),
        ("a | |x| x", "a closure stands inside of one"),
        ("a || b", "`||` is no pipe"),
        ("a || b | count()", "`||` is no pipe"),
        ("&a | &b | count()", "a source that has a `|` of its own"),
        ("a | { b }", "this is no stage"),
        ("a | b::c(d)", "this is no stage"),
        ("a | match b { c => d }", "this is no stage"),
        (
            "a | foreach_parallel",
            "write `foreach_parallel(|item| ..)`",
        ),
        ("a | foreach_parallel()", "nothing to run"),
        (
            "a | foreach_parallel(throttle = 2)",
            "the closure is missing",
        ),
        ("a | foreach_parallel(|x, y, z| x)", "write `|item|`"),
    ] {
        let code = formatted(expand_pipeline(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", part]);
        assert_lacks(&code, &["__private", "into_iter"]);
    }
}

#[test]
fn mistakes_of_all_stages_show_at_once() {
    let call = "a | foreach_parallel(throtle = 2, |x| x) | foreach_parallel(using(ref a), |x| x) | b::c() \
                | foreach_parallel(on = fiber, |x| x) | collect";
    let code = formatted(expand_pipeline(typed(&format!("::runspace, {call}"))));
    // The borrow is one of them, and in the wrong place besides.
    assert_eq!(code.matches("compile_error!").count(), 6, "{code}");
}

#[test]
fn stage_that_is_being_typed_is_handed_on() {
    let tokens = expand_pipeline(typed(
        "::runspace, a. | map(b.) | foreach_parallel(|x| { x. })",
    ));
    let code = tokens.to_string();
    assert_has(&code, &["{ x . }", "(b .)", "(a .)"]);
    assert_lacks(&code, &["compile_error"]);
}
