use runspace::foreach_parallel;

fn main() {
    let factor = 2;
    let offset = 1;
    foreach_parallel!(0..3, on = plan, using(factor), |n: i32| n * factor + offset);
}
