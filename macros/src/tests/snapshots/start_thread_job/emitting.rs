// start_thread_job!(using(limit), |job| {
//     for n in 1..=limit {
//         job.emit(n * n);
//     }
// })

::runspace::__private::thread_job_emitting(
    ::runspace::__private::JobOptions::new(),
    (::runspace::__private::send()(limit), ()),
    move |(limit, ()), job| {
        for n in 1..=limit {
            job.emit(n * n);
        }
    },
    ::runspace::__private::made(),
)
