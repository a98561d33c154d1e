use runspace::foreach_parallel;

fn main() {
    let count = 1;
    foreach_parallel!(0..3, using(count), |n| cuont + n);
}
