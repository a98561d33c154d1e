// foreach_parallel!(paths, on = process, throttle = 4, retry = 1, using(limit), |path: PathBuf| {
//     parse_untrusted(&path, limit)
// })

::runspace::__private::foreach_process(
    ::core::iter::IntoIterator::into_iter(paths),
    ::runspace::__private::Options::new().throttle(4).retry(1).on_process(),
    (::runspace::__private::serial()(limit), ()),
    |(limit, ())| move |worker| {
        worker.copying();
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )]
        worker
            .run_judged(
                |path: PathBuf| { parse_untrusted(&path, limit) },
                |value| ::runspace::__private::judge::Judgement::of({
                    #[allow(unused_imports)]
                    use ::runspace::__private::judge::{OfAny as _, OfResult as _};
                    (&::runspace::__private::judge::Value(value)).failed()
                }),
            );
    },
    ::runspace::__private::made(),
)
