// start_job!(name = "sum", memory = 64 << 20, using(numbers), { numbers.iter().sum::<i32>() })

::runspace::__private::process_job(
    ::runspace::__private::ProcessJobOptions::new().name("sum").memory(64 << 20),
    (::runspace::__private::serial()(numbers), ()),
    |(numbers, ())| { numbers.iter().sum::<i32>() },
)
