use runspace::foreach_parallel;

fn main() {
    let mut total = 0;
    total += 1;
    foreach_parallel!(0..3, using(total), |n| total += n);
}
