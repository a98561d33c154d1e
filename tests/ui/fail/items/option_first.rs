use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(throttle = 2, 0..3, |n| n);
}
