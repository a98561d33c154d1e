use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, queue = 2, |n| n);
}
