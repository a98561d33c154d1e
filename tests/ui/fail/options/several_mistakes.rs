use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, throtle = 2, buffer: 4, name, |n| n, ordered = true);
}
