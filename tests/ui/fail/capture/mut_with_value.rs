use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, using(mut list = vec![1]), |n| list.push(n));
}
