use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, on = rayon, |n| n);
}
