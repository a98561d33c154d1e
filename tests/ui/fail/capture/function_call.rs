use runspace::foreach_parallel;

fn limit() -> usize {
    3
}

fn main() {
    foreach_parallel!(0..3, using(limit()), |n| n);
}
