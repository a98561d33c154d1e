use runspace::foreach_parallel;

fn double(n: usize) -> usize {
    2 * n
}

fn main() {
    foreach_parallel!(0..3, double);
}
