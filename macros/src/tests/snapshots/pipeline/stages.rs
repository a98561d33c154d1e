// pipeline!(
//     paths
//         | foreach_parallel(throttle = 4, |path: PathBuf| std::fs::read(path))
//         | filter_map(|read| read.ok())
//         | foreach_parallel(on = rayon, ordered = true, using(key), |bytes| digest(&key, &bytes))
//         | collect::<Vec<_>>()
// )

::runspace::__private::foreach(
        ::core::convert::identity(
            ::runspace::__private::foreach(
                    ::core::iter::IntoIterator::into_iter(paths),
                    ::runspace::__private::Options::new().here().throttle(4),
                    (),
                    move |()| |worker| {
                        #[allow(
                            clippy::redundant_closure,
                            clippy::redundant_closure_for_method_calls
                        )] worker.run(|path: PathBuf| std::fs::read(path));
                    },
                    ::runspace::__private::made(),
                )
                .filter_map(|read| read.ok()),
        ),
        ::runspace::__private::Options::new()
            .here()
            .ordered(true)
            .on(::runspace::__private::on_rayon()),
        (::runspace::__private::capture(key), ()),
        |(key, ())| move |worker| {
            #[allow(
                clippy::redundant_closure,
                clippy::redundant_closure_for_method_calls
            )] worker.run(|bytes| digest(&key, &bytes));
        },
        ::runspace::__private::made(),
    )
    .collect::<Vec<_>>()
