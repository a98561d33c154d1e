// invoke!(&runspace, using(word), |rs| rs.state::<String>().push_str(&word))

::runspace::__private::invoke_with_state(
    &runspace,
    ::runspace::__private::InvokeOptions::new(),
    (::runspace::__private::send()(word), ()),
    move |(word, ()), rs| rs.state::<String>().push_str(&word),
    ::runspace::__private::made(),
)
