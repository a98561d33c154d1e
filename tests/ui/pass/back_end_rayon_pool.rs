//! `on = rayon(&pool)`

use std::sync::Arc;

use rayon::ThreadPoolBuilder;
use runspace::{foreach_parallel, pipeline};

fn main() {
    let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let pool = Arc::new(pool);
    let inside: Vec<bool> = foreach_parallel!(0..10, on = rayon(&pool), |_: u32| {
        rayon::current_num_threads() == 2 && rayon::current_thread_index().is_some()
    })
    .collect();
    assert_eq!(inside, [true; 10]);
    let factor = 2;
    let lent: u32 = foreach_parallel!(
        &[1, 2, 3],
        throttle = 1,
        on = rayon(&pool),
        using(&factor),
        |n: &u32| n * factor
    )
    .sum();
    assert_eq!(lent, 12);
    let piped: u32 =
        pipeline!(0..3_u32 | foreach_parallel(on = rayon(&pool), |n| n) | sum::<u32>());
    assert_eq!(piped, 3);
}
