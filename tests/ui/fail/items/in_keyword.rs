use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(n in 0..3, |n| n);
}
