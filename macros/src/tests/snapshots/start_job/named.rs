// start_job!(name = "thumbnail", images::resize(path, 640))

::runspace::__private::named_job(
    ::runspace::__private::ProcessJobOptions::new().name("thumbnail"),
    <images::resize>::runspace_job(path, 640),
)
