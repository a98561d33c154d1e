use runspace::foreach_parallel;

fn main() {
    let items = vec![1, 2, 3];
    let table = vec![10, 20, 30];
    foreach_parallel!(&items, on = cluster(&cluster), using(&table), |n| table[*n]);
}
