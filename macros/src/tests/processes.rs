//! `start_job!`

use quote::quote;

use super::{assert_has, assert_lacks, expand_process_job, formatted, process_job, typed};

#[test]
fn body_is_a_function_that_captures_nothing() {
    let code = process_job(quote!(
        name = "n",
        env = [("K", "V")],
        memory = 1 << 20,
        using(a, b.clone()),
        { a + b }
    ));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::process_job(",
            "__private::ProcessJobOptions::new().name(\"n\").env([(\"K\", \"V\")]).memory(1 << 20)",
            "__private::serial()(a)",
            "__private::serial()(b.clone())",
            ", |(a, (b, ()))| { a + b }",
        ],
    );
    assert_lacks(&code, &["compile_error", "move"]);
    let code = process_job(quote!(using(a), move |job| job.emit(a)));
    assert_has(
        &code,
        &[
            "__private::process_job_emitting(",
            ", |(a, ()), job| job.emit(a)",
        ],
    );
    assert_lacks(&code, &["compile_error", "move"]);
}

#[test]
fn statements_and_calls_of_what_is_no_job_are_a_body() {
    for statements in [
        "let a = 1; a + 1",
        "name = 5; foo()",
        "file = open(a); read(file)",
        "resize(path, 640);",
        "resize(path, 640)?",
        "resize::<u8>(path)",
        "Some(path)",
        "Vec::new()",
        "Image::resize(path, 640)",
        "path.resize(640)",
        "resize!(path)",
        "return (path)",
        "resize(path) + 1",
    ] {
        let code = expand_process_job(typed(&format!("::runspace, {statements}"))).to_string();
        let body = format!("| () | {{ {} }}", typed(statements));
        assert_has(&code, &["process_job (", &body]);
        assert_lacks(&code, &["compile_error"]);
    }
    let code = process_job(quote!({ resize(path, 640) }));
    assert_has(&code, &["process_job(", "|()| { resize(path, 640) }"]);
}

#[test]
fn call_of_a_function_names_a_job() {
    for (call, path) in [
        ("resize(path, 640)", "resize"),
        ("resize(path, 640),", "resize"),
        ("images::resize(path, 640)", "images::resize"),
        ("crate::images::resize(path, 640)", "crate::images::resize"),
        ("::images::resize(path, 640)", "::images::resize"),
    ] {
        let code = formatted(expand_process_job(typed(&format!("::runspace, {call}"))));
        let call = format!("<{path}>::runspace_job(path, 640)");
        assert_has(
            &code,
            &["__private::named_job(", "ProcessJobOptions::new(),", &call],
        );
        assert_lacks(&code, &["compile_error"]);
    }
    let code = process_job(quote!(name = "n", timeout = t, images::resize(path, 640)));
    assert_has(
        &code,
        &[
            "ProcessJobOptions::new().name(\"n\").timeout(t)",
            "<images::resize>::runspace_job(path, 640)",
        ],
    );
    let code = formatted(expand_process_job(typed(
        "::runspace, resize($using:a, f(b))",
    )));
    assert_has(&code, &["<resize>::runspace_job(a, f(b))"]);
    let code = expand_process_job(typed("::runspace, resize(path., 1)")).to_string();
    assert_has(&code, &["runspace_job (path ., 1)"]);
}

#[test]
fn program() {
    let code = process_job(quote!(file = "prog", args = ["a", b], name = "n", env = e));
    assert_has(
        &code,
        &[
            "let call = ::runspace::__private::program_job(",
            "ProgramOptions::new(\"prog\").args([\"a\", b]).name(\"n\").env(e)",
        ],
    );
    let code = process_job(quote!(args = [], file = dir.join("prog")));
    assert_has(&code, &["ProgramOptions::new(dir.join(\"prog\")).args([])"]);
    let code = process_job(quote!(file = if a { b } else { c }));
    assert_has(&code, &["ProgramOptions::new(if a { b } else { c })"]);
    assert_lacks(&code, &["compile_error"]);
}

#[test]
fn mistake_leaves_the_expansion() {
    for (call, part) in [
        (
            "queue = &q, { BODY }",
            "`queue` is an option of `start_thread_job!`",
        ),
        ("memmory = 1, { BODY }", "write `memory`"),
        ("timeout, { BODY }", "`timeout` has no value"),
        ("using(&a), { BODY }", "write `a` to send the value"),
        ("using(b = &a), { BODY }", "write `a` to send the value"),
        ("using(&mut a), { BODY }", "write `a` to send the value"),
        ("using(ref a), { BODY }", "write `a` to send the value"),
        ("using(mut a), { BODY }", "`let mut a = a;` in the body"),
        ("init(a = 1), { BODY }", "`init` is for workers"),
        ("args = [], { BODY }", "`args` are those of a program"),
        ("file = f, { BODY }", "leave one of the two out"),
        ("file = f, BODY(1)", "leave one of the two out"),
        ("name = 4, BODY", "write `{ BODY }`"),
        ("{ BODY }, name = 4", "move this in front of it"),
        ("resize(BODY), name = 4", "move this in front of it"),
        ("using(a), resize(BODY)", "leave `using(..)` out"),
        ("init(a = 1), resize(BODY)", "`init` is for workers"),
        ("file = BODY, memory = 5", "`memory` is for a body"),
        ("file = BODY, using(a)", "a program has no body"),
        ("file = BODY, init(a = 1)", "`init` is for workers"),
    ] {
        let code = formatted(expand_process_job(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", part, "__private::", "BODY"]);
    }
}

#[test]
fn hopeless_call_is_its_error() {
    for (call, part) in [
        ("", "nothing to run"),
        ("name = 4", "the block is missing"),
        ("args = [a]", "are those of a program"),
        ("using(a)", "the block is missing"),
        ("file = f { a }", "write a `,` before it"),
        ("file = f |job| a", "write a `,` before it"),
        ("|a, b| a", "write `|job|`"),
        ("async |job| a", "drop `async`"),
    ] {
        let code = formatted(expand_process_job(typed(&format!("::runspace, {call}"))));
        assert_has(&code, &["compile_error!", part]);
        assert_lacks(&code, &["__private"]);
    }
}
