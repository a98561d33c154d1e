// foreach_parallel!(paths, on = process(&pool), |path: PathBuf| parse_untrusted(&path))

::runspace::__private::foreach_process(
    ::core::iter::IntoIterator::into_iter(paths),
    ::runspace::__private::Options::new().on_process_pool(&pool),
    (),
    |()| move |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|path: PathBuf| parse_untrusted(&path));
    },
    ::runspace::__private::made(),
)
