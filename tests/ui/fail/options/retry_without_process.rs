use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, retry = 2, |n: u32| n);
}
