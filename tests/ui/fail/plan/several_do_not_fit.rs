use std::time::Instant;

use runspace::foreach_parallel;

struct Table;

fn main() {
    let (factor, table, since) = (2, Table, Instant::now());
    foreach_parallel!(0..3, on = plan, using(factor, table, since), |n: u64| {
        let Table = table;
        n * factor + since.elapsed().as_secs()
    });
}
