use runspace::foreach_parallel;

fn main() {
    let (a, b) = (1, 2);
    foreach_parallel!(0..3, using(a), using(b), |n| a + b + n);
}
