use runspace::foreach_parallel;

fn main() {
    let (a, b) = (1, 2);
    foreach_parallel!(0..3, using(a b), |n: u32| n + a + b);
}
