use runspace::foreach_parallel;

fn main() {
    let pool = String::new();
    foreach_parallel!(0..3, on = rayon(&pool), |n| n);
}
