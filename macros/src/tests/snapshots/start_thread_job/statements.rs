// start_thread_job! { let a = work(); a + 1 }

::runspace::__private::thread_job(
    ::runspace::__private::JobOptions::new(),
    (),
    move |()| {
        let a = work();
        a + 1
    },
    ::runspace::__private::made(),
)
