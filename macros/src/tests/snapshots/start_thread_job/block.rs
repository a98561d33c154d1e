// start_thread_job!(name = "sum", queue = &queue, using(numbers, other.clone()), {
//     numbers.iter().sum::<i32>() + other
// })

::runspace::__private::thread_job(
    ::runspace::__private::JobOptions::new().name("sum").queue(&queue),
    (
        ::runspace::__private::send()(numbers),
        (::runspace::__private::send()(other.clone()), ()),
    ),
    move |(numbers, (other, ()))| { numbers.iter().sum::<i32>() + other },
    ::runspace::__private::made(),
)
