// foreach_parallel!(urls, retry = 3, retry_if = |error| error.is_timeout(), |url| fetch(&url))

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(urls),
    ::runspace::__private::Options::new().retry(3),
    (),
    move |()| |worker| {
        worker.copying();
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )]
        worker
            .run_judged(
                |url| fetch(&url),
                |value| ::runspace::__private::judge::Judgement::asked(
                    {
                        #[allow(unused_imports)]
                        use ::runspace::__private::judge::{
                            OfAny as _, OfResult as _,
                        };
                        (&::runspace::__private::judge::Value(value)).failed()
                    },
                    value,
                    |error| error.is_timeout(),
                ),
            );
    },
    ::runspace::__private::made(),
)
