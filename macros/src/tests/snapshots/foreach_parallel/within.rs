// foreach_parallel!(&items, within = scope, using(&table), |n| table[*n])

::runspace::__private::foreach_within(
    scope,
    ::core::iter::IntoIterator::into_iter(&items),
    ::runspace::__private::Options::new(),
    (::runspace::__private::borrow(&table), ()),
    |(table, ())| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n| table[*n]);
    },
    ::runspace::__private::made(),
)
