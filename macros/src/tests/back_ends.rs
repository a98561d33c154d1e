//! `on = ..`

use quote::quote;

use super::{assert_has, assert_lacks, foreach};

#[test]
fn threads_are_what_is_there_without_a_word() {
    let code = foreach(quote!(items, on = thread, |x| x));
    assert_has(&code, &["__private::foreach(", "Options::new(), ()"]);
    assert_lacks(&code, &[".on(", "compile_error"]);
}

#[test]
fn place_is_made_by_a_function_of_its_name() {
    for (value, place) in [
        (quote!(rayon), "on_rayon()"),
        (quote!(rayon(&pool)), "on_rayon_pool(&pool)"),
        (
            quote!(rayon(pools.first()?)),
            "on_rayon_pool(pools.first()?)",
        ),
        (quote!(pool(&pool)), "on_pool(&pool)"),
        (quote!(sequential), "on_sequential()"),
    ] {
        let code = foreach(quote!(items, on = #value, throttle = 2, |x| x));
        let setters = format!("Options::new().throttle(2).on(::runspace::__private::{place})");
        assert_has(&code, &[&setters, "__private::foreach("]);
        assert_lacks(&code, &["compile_error"]);
    }
}

#[test]
fn place_goes_with_borrows_and_scopes() {
    let code = foreach(quote!(&items, on = rayon, |x| x));
    assert_has(&code, &["__private::foreach_borrowed(", ".on("]);
    let code = foreach(quote!(items, within = scope, on = pool(&pool), |x| x));
    assert_has(
        &code,
        &["__private::foreach_within(scope,", "on_pool(&pool)"],
    );
}

#[test]
fn processes_are_given_a_function_that_captures_nothing() {
    let code = foreach(quote!(
        items,
        on = process,
        ordered = true,
        init(db = open()),
        using(a, b.clone()),
        |x| db.get(x, a, b)
    ));
    assert_has(
        &code,
        &[
            "__private::foreach_process(",
            "Options::new().ordered(true).with_state().on_process(), (",
            "__private::serial()(a)",
            "__private::serial()(b.clone())",
            "|(a, (b, ()))| move |worker| { #[allow(unused_mut)] let mut db = open();",
            "worker.run(|x| db.get(x, a, b))",
        ],
    );
    assert_lacks(&code, &["compile_error", "move |(a", ".on("]);
    // Without anything to capture too: the inner closure may own nothing of its maker's.
    for call in [
        quote!(items, on = process, |x| x),
        quote!(items, on = process, move |x| x),
    ] {
        assert_has(&foreach(call), &[", |()| move |worker|"]);
    }
}

#[test]
fn pool_of_processes_is_an_option_of_its_own() {
    let code = foreach(quote!(items, on = process(&pool), |x, job| job.emit(x)));
    assert_has(
        &code,
        &[
            "__private::foreach_process(",
            "Options::new().emitting().on_process_pool(&pool)",
            "worker.run_emitting(",
        ],
    );
}

#[test]
fn nothing_is_lent_to_a_process() {
    for (call, cure) in [
        (quote!(&items, on = process, |x| BODY), "write `items`"),
        (quote!((&items), on = process, |x| BODY), "`items.clone()`"),
        (
            quote!(items, on = process, using(&a), |x| BODY),
            "write `a`",
        ),
        (
            quote!(items, on = process, using(a = &b), |x| BODY),
            "`b.clone()`",
        ),
        (
            quote!(items, on = process, within = s, |x| BODY),
            "leave `within` out",
        ),
    ] {
        let code = foreach(call);
        assert_has(&code, &["compile_error!", cure, "BODY", ".run("]);
        // What was meant is checked as a loop on threads, which can lend.
        assert_lacks(&code, &["foreach_process", "serial"]);
    }
}

#[test]
fn plan_is_given_what_a_process_would_be() {
    let code = foreach(quote!(
        items,
        throttle = 2,
        on = plan,
        init(db = open()),
        using(a),
        |x, job| db.get(x, a, job)
    ));
    assert_has(
        &code,
        &[
            "__private::foreach_plan(",
            "Options::new().throttle(2).emitting().with_state(), (",
            "__private::portable()(a)",
            "|(a, ())| move |worker| { #[allow(unused_mut)] let mut db = open();",
            "worker.run_emitting(|x, job| db.get(x, a, job))",
        ],
    );
    assert_lacks(&code, &["compile_error", "move |(a", ".on("]);
}

#[test]
fn nothing_is_lent_where_a_plan_chooses() {
    for (call, cure) in [
        (quote!(&items, on = plan, |x| BODY), "write `items`"),
        (quote!(items, on = plan, using(&a), |x| BODY), "write `a`"),
        (
            quote!(items, on = plan, within = s, |x| BODY),
            "leave `within` out",
        ),
    ] {
        let code = foreach(call);
        let reason = "a plan may choose another process";
        assert_has(&code, &["compile_error!", reason, cure, "BODY", ".run("]);
        assert_lacks(&code, &["foreach_plan", "portable"]);
    }
}

#[test]
fn a_cluster_is_an_entry_of_its_own() {
    let code = foreach(quote!(items, on = cluster(&c), using(a), |x, job| BODY));
    assert_has(
        &code,
        &[
            "foreach_cluster",
            ".on_cluster(&c)",
            "serial",
            ".emitting()",
        ],
    );
    for (call, cure) in [
        (
            quote!(&items, on = cluster(&c), |x| BODY),
            "write `items` to send them",
        ),
        (
            quote!(items, on = cluster(&c), using(&a), |x| BODY),
            "write `a` to send the value",
        ),
        (
            quote!(items, on = cluster(&c), within = s, |x| BODY),
            "nothing can be lent to another machine",
        ),
    ] {
        let code = foreach(call);
        assert_has(&code, &["compile_error!", cure, "BODY"]);
        assert_lacks(&code, &["foreach_cluster"]);
    }
}

#[test]
fn value_that_names_no_back_end() {
    for (value, part) in [
        (quote!(cluster), "write `on = cluster(&cluster)`"),
        (quote!(cluster()), "the cluster is missing"),
        (quote!(fiber), "no back end `fiber`"),
        (quote!(threads), "write `on = thread`"),
        (quote!(processes), "write `on = process`"),
        (quote!(runspace::plan()), "no back end"),
        (quote!("rayon"), "no back end"),
        (quote!(thread(4)), "write `on = thread, throttle = 4`"),
        (quote!(plan(&p)), "`plan` takes nothing"),
        (quote!(pool), "write `on = pool(&pool)`"),
        (quote!(pool()), "the pool is missing"),
        (quote!(process()), "or `on = process`"),
    ] {
        let code = foreach(quote!(items, on = #value, |x| BODY));
        assert_has(
            &code,
            &["compile_error!", part, "__private::foreach(", "BODY"],
        );
    }
}
