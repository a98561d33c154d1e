// foreach_parallel!(queries, init(db = open(), scratch = String::new()), using(schema), |query| {
//     db.run(&schema, &query, &mut scratch)
// })

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(queries),
    ::runspace::__private::Options::new(),
    (::runspace::__private::capture(schema), ()),
    |(schema, ())| move |worker| {
        #[allow(unused_mut)]
        let mut db = open();
        #[allow(unused_mut)]
        let mut scratch = String::new();
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )] worker.run(|query| { db.run(&schema, &query, &mut scratch) });
    },
    ::runspace::__private::made(),
)
