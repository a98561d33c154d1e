// foreach_parallel!(0..3, move |n| table[n] + 1)

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(0..3),
    ::runspace::__private::Options::new(),
    (),
    |()| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n| table[n] + 1);
    },
    ::runspace::__private::made(),
)
