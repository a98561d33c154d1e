use runspace::foreach_parallel;

fn main() {
    let list = vec![1, 2];
    foreach_parallel!(&list, on = process, |n| *n);
}
