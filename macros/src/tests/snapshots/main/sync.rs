// #[runspace::main]
// fn main() -> Result<(), Error> {
//     run()
// }

fn main() -> Result<(), Error> {
    ::runspace::__private::serve_if_worker();
    run()
}
::runspace::__main_will_serve! {}
