use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, throtle = 2, |n| n);
}
