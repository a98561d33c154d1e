use runspace::foreach_parallel;

fn main() {
    let list = vec![1, 2, 3];
    foreach_parallel!(&list, on = plan, |n| *n);
}
