use runspace::foreach_parallel;

fn main() {
    let path = String::new();
    foreach_parallel!(0..3, on = process, init(db = path.len()), |n: usize| n * db);
}
