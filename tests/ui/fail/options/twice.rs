use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, throttle = 2, ordered = true, throttle = 3, |n| n);
}
