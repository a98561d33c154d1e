// foreach_parallel!(urls, timeout = limit, deadline = end, rate = 50.per_second(), |url| fetch(&url))

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(urls),
    ::runspace::__private::Options::new()
        .timeout(limit)
        .deadline(end)
        .rate({
            #[allow(unused_imports)]
            use ::runspace::__private::PerTime as _;
            50.per_second()
        }),
    (),
    move |()| |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|url| fetch(&url));
    },
    ::runspace::__private::made(),
)
