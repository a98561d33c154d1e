use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, colour = 1, |n| n);
}
