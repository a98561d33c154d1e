use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, on = plan, |n: i32| std::fs::read(n.to_string()));
}
