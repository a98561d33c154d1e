// #[runspace::main]
// #[tokio::main]
// async fn main() {
//     run().await
// }

fn main() {
    #[tokio::main]
    async fn main() {
        run().await
    }
    ::runspace::__private::serve_if_worker();
    main()
}
::runspace::__main_will_serve! {}
