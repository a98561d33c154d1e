// foreach_parallel!(0..3, using(table, prefix.clone(), first = table[0]), |n| {
//     format!("{prefix}{first}{}", table[n])
// })

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(0..3),
    ::runspace::__private::Options::new(),
    (
        ::runspace::__private::capture(table),
        (
            ::runspace::__private::capture(prefix.clone()),
            (::runspace::__private::capture(table[0]), ()),
        ),
    ),
    |(table, (prefix, (first, ())))| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n| { format!("{prefix}{first}{}", table[n]) });
    },
    ::runspace::__private::made(),
)
