use runspace::foreach_parallel;

fn main() {
    let factor = 2;
    foreach_parallel!(0..3, on = plan, |n: i32| n * factor);
}
