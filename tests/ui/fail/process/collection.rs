use runspace::collections::Bag;
use runspace::foreach_parallel;

fn main() {
    let found = Bag::new();
    foreach_parallel!(0..9, on = process, using(found.clone()), |n| found.add(n));
    assert_eq!(found.len(), 9);
}
