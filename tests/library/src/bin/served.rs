//! A program whose workers go through its `main`, as far as the attribute lets them.

#[runspace::main]
fn main() {
    println!("main of {}", std::process::id());
    for n in [3, 4] {
        let (square, process) = runspace_test_library::square(n).unwrap();
        assert_ne!(process, std::process::id());
        println!("{n} squared is {square}");
    }
    println!("{:?}", runspace_test_library::squares(5));
    assert_eq!(
        runspace_test_library::name_of_worker_thread()
            .unwrap()
            .as_deref(),
        Some("main")
    );
}
