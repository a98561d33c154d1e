use runspace::collections::Queue;
use runspace::foreach_parallel;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Findings {
    all: Queue<u32>,
}

fn main() {
    let found = Findings { all: Queue::new() };
    foreach_parallel!(0..9, on = process, using(found.clone()), |n| found.all.enqueue(n));
    assert_eq!(found.all.len(), 9);
}
