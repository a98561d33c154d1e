use runspace::foreach_parallel;

fn main() {
    let items = vec![1];
    foreach_parallel!(items.iter(), |n| *n);
}
