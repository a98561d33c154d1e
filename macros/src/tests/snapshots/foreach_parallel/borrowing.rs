// foreach_parallel!(&items, using(&table, offset), |n| table[*n] + offset)

::runspace::__private::foreach_borrowed(
    ::core::iter::IntoIterator::into_iter(&items),
    ::runspace::__private::Options::new(),
    (
        ::runspace::__private::borrow(&table),
        (::runspace::__private::capture_within(offset), ()),
    ),
    |(table, (offset, ()))| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n| table[*n] + offset);
    },
    ::runspace::__private::made(),
)
