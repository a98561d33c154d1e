use runspace::foreach_parallel;

fn main() {
    let pool = std::sync::Arc::new(rayon::ThreadPoolBuilder::new().build().unwrap());
    foreach_parallel!(0..3, on = rayon(&pool), |n| n);
}
