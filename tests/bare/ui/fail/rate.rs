use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, rate = 50.per_second(), |n| n);
}
