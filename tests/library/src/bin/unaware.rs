//! A program with a library that uses processes.

fn main() {
    println!("main of {}", std::process::id());
    for n in [3, 4] {
        let (square, process) = runspace_test_library::square(n).unwrap();
        assert_ne!(process, std::process::id());
        println!("{n} squared is {square}");
    }
    println!("{:?}", runspace_test_library::squares(5));
}
