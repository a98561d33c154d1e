// pipeline!(0..9 | foreach_parallel(|n| check(n)).outcomes() | collect::<Result<Vec<_>, _>>()?)

::runspace::__private::foreach(
        ::core::iter::IntoIterator::into_iter(0..9),
        ::runspace::__private::Options::new().here(),
        (),
        move |()| |worker| {
            #[allow(
                clippy::redundant_closure,
                clippy::redundant_closure_for_method_calls
            )] worker.run(|n| check(n));
        },
        ::runspace::__private::made(),
    )
    .outcomes()
    .collect::<Result<Vec<_>, _>>()?
