// foreach_parallel!(numbers, on = plan, using(factor), |n| n * factor)

::runspace::__private::foreach_plan(
    ::core::iter::IntoIterator::into_iter(numbers),
    ::runspace::__private::Options::new(),
    (::runspace::__private::portable()(factor), ()),
    |(factor, ())| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n| n * factor);
    },
    ::runspace::__private::made(),
)
