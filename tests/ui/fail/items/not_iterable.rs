use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(5, |n: i32| n);
}
