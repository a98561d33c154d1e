use runspace::pipeline;
use std::collections::BTreeSet;

fn main() {
    let (a, b) = (BTreeSet::from([1]), BTreeSet::from([2]));
    pipeline!(&a | &b | foreach_parallel(|n| *n));
}
