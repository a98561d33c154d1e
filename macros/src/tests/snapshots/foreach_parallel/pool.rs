// foreach_parallel!(1..=100, on = pool(&pool), throttle = 2, |n: u64| n * n)

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(1..=100),
    ::runspace::__private::Options::new()
        .throttle(2)
        .on(::runspace::__private::on_pool(&pool)),
    (),
    move |()| |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n: u64| n * n);
    },
    ::runspace::__private::made(),
)
