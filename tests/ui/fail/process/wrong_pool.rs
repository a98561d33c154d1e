use runspace::foreach_parallel;

fn main() {
    let pool = 5;
    foreach_parallel!(0..3, on = process(&pool), |n: i32| n);
}
