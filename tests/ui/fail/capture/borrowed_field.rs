use runspace::foreach_parallel;

fn main() {
    let pair = (1, 2);
    foreach_parallel!(0..3, using(&pair.0), |n: u32| n);
}
