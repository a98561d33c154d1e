use runspace::foreach_parallel;

fn main() {
    let pool = ();
    foreach_parallel!(0..3, on = thread(&pool), |n| n);
}
