// foreach_parallel!(1..=100, on = rayon, |n: u64| n * n)

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(1..=100),
    ::runspace::__private::Options::new().on(::runspace::__private::on_rayon()),
    (),
    move |()| |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|n: u64| n * n);
    },
    ::runspace::__private::made(),
)
