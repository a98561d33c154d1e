use std::time::Instant;

use runspace::foreach_parallel;

fn main() {
    let items = vec![Instant::now()];
    foreach_parallel!(items, on = plan, |it| it.elapsed().as_secs());
}
