use runspace::foreach_parallel;

fn main() {
    let mut list = vec![1];
    foreach_parallel!(0..3, using(ref mut list), |n| list.push(n));
    list.push(1);
}
