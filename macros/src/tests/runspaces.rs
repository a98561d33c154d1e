//! `invoke!`

use quote::quote;

use super::{assert_has, assert_lacks, expand_invocation, formatted, invoke, typed};

#[test]
fn block() {
    let code = invoke(quote!(&runspace, { 1 }));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::invoke(&runspace,",
            "InvokeOptions::new(), (), move |()| { 1 }, ::runspace::__private::made()",
        ],
    );
    let code = invoke(quote!(
        pool.get()?,
        name = "n",
        using(a, b.clone(), c = d.e),
        { a }
    ));
    assert_has(
        &code,
        &[
            "invoke(pool.get()?,",
            "InvokeOptions::new().name(\"n\")",
            "__private::send()(a)",
            "__private::send()(b.clone())",
            "__private::send()(d.e)",
            "move |(a, (b, (c, ())))| { a }",
        ],
    );
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn body_that_uses_the_state() {
    for call in [
        quote!(&runspace, using(a), |rs| rs.state(a)),
        quote!(&runspace, using(a), move |rs| rs.state(a)),
    ] {
        let code = invoke(call);
        assert_has(
            &code,
            &[
                "__private::invoke_with_state(",
                "move |(a, ()), rs| rs.state(a)",
            ],
        );
    }
}

#[test]
fn runspace_may_be_any_expression() {
    for target in [
        quote!({ next() }),
        quote!(map::<A, B>(c)),
        quote!(a[0].b),
        quote!(&mut c),
    ] {
        let code = invoke(quote!(#target, using(a), { a }));
        assert_has(&code, &["__private::invoke(", "move |(a, ())| { a }"]);
        assert_lacks(&code, &["compile_error"]);
    }
}

#[test]
fn mistake_leaves_the_expansion() {
    for call in [
        "&rs, nam = 4, { BODY }",
        "&rs, queue = &q, { BODY }",
        "&rs; { BODY }",
        "&rs, using(&a), { BODY }",
        "&rs, init(a = 1), { BODY }",
        "&rs, || { BODY }",
        "&rs, BODY",
        "&rs, { BODY }, name = 4",
    ] {
        let code = formatted(expand_invocation(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", "BODY"]);
    }
}

#[test]
fn hopeless_call_is_its_error() {
    for (call, part) in [
        ("", "nothing to run"),
        ("{ BODY }", "the runspace comes first"),
        ("|rs| BODY", "the runspace comes first"),
        ("name = 4, &rs, { BODY }", "write it in front of `name`"),
        ("using(a), { BODY }", "write it in front of `using`"),
        (", { BODY }", "the runspace is missing"),
        ("&rs { BODY }", "write a `,` before it"),
        ("&rs |rs| BODY", "write a `,` before it"),
        ("&rs", "the block is missing"),
        ("&rs, name = 4", "the block is missing"),
        ("&rs, |a, b| BODY", "write `|rs|`"),
        ("&rs, async |rs| BODY", "drop `async`"),
    ] {
        let code = formatted(expand_invocation(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", part]);
        assert_lacks(&code, &["__private"]);
    }
}
