// foreach_parallel!(items, journal = "run.jsonl", resume = true, init(db = open()), |x| db.get(x))

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(items),
    ::runspace::__private::Options::new().journal("run.jsonl").resume(true),
    (),
    move |()| |worker| {
        if !worker.journalling() {
            return;
        }
        #[allow(unused_mut)]
        let mut db = open();
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )]
        worker
            .run_judged(
                |x| db.get(x),
                |value| ::runspace::__private::judge::Judgement::of({
                    #[allow(unused_imports)]
                    use ::runspace::__private::judge::{OfAny as _, OfResult as _};
                    (&::runspace::__private::judge::Value(value)).failed()
                }),
            );
    },
    ::runspace::__private::made(),
)
