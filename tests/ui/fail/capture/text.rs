use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, using("a"), |n: u32| n);
}
