// foreach_parallel!(urls, throttle = 8, ordered = true, name = "pages", |url| fetch(&url))

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(urls),
    ::runspace::__private::Options::new().throttle(8).ordered(true).name("pages"),
    (),
    move |()| |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|url| fetch(&url));
    },
    ::runspace::__private::made(),
)
