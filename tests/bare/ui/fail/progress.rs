use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, progress = "Counting", |n| n);
}
