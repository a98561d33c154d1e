// start_job!(using(limit), |job| {
//     for n in 1..=limit {
//         job.emit(n * n);
//     }
// })

::runspace::__private::process_job_emitting(
    ::runspace::__private::ProcessJobOptions::new(),
    (::runspace::__private::serial()(limit), ()),
    |(limit, ()), job| {
        for n in 1..=limit {
            job.emit(n * n);
        }
    },
)
