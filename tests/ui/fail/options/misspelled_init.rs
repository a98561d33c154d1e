use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, inti(sum = 0), |n: u32| {
        sum += n;
        sum
    });
}
