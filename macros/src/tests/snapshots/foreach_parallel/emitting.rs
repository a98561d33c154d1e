// foreach_parallel!(words, |word: String, job| {
//     for letter in word.chars() {
//         job.emit(letter);
//     }
// })

::runspace::__private::foreach(
    ::core::iter::IntoIterator::into_iter(words),
    ::runspace::__private::Options::new(),
    (),
    move |()| |worker| {
        #[allow(
            clippy::redundant_closure,
            clippy::redundant_closure_for_method_calls
        )]
        worker
            .run_emitting(|word: String, job| {
                for letter in word.chars() {
                    job.emit(letter);
                }
            });
    },
    ::runspace::__private::made(),
)
