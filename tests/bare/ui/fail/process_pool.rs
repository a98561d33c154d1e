use runspace::foreach_parallel;

fn main() {
    let pool = "a pool";
    foreach_parallel!(0..3, on = process(&pool), init(n = 1), |x: i32, job| job.emit(x + n));
}
