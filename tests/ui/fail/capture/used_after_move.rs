use runspace::foreach_parallel;

fn main() {
    let list = vec![1];
    foreach_parallel!(0..3, using(list), |n| list.len() + n);
    println!("{}", list.len());
}
