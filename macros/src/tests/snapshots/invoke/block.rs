// invoke!(&runspace, name = "sum", using(numbers), { numbers.iter().sum::<i32>() })

::runspace::__private::invoke(
    &runspace,
    ::runspace::__private::InvokeOptions::new().name("sum"),
    (::runspace::__private::send()(numbers), ()),
    move |(numbers, ())| { numbers.iter().sum::<i32>() },
    ::runspace::__private::made(),
)
