use runspace::foreach_parallel;

fn main() {
    let a = 1;
    foreach_parallel!(0..3, using(, a), |n: u32| n + a);
}
