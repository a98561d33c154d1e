use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, on = cluster, |n| n);
    foreach_parallel!(0..3, on = cluster(), |n| n);
}
