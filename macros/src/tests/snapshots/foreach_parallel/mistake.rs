// foreach_parallel!(items, throtle = 4, using(ref a), |x| a + x)

{
    ::core::compile_error! {
        "a capture borrows with `&`; write `&a`"
    }
    ::core::compile_error! {
        "no option `throtle`; write `throttle` (the options are `throttle`, `ordered`, `buffer`, `name`, `within`, `on`, `timeout`, `deadline`, `rate`, `retry`, `retry_if`, `halt`, `journal`, `resume` and `progress`)"
    }
    ::runspace::__private::foreach_borrowed(
        ::core::iter::IntoIterator::into_iter(items),
        ::runspace::__private::Options::new(),
        (::runspace::__private::borrow(&a), ()),
        |(a, ())| move |worker| {
            #[allow(
                clippy::redundant_closure,
                clippy::redundant_closure_for_method_calls
            )] worker.run(|x| a + x);
        },
        ::runspace::__private::made(),
    )
}
