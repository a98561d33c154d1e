use runspace::foreach_parallel;

fn main() {
    let prefix = "#";
    foreach_parallel!(0..3, on = plan, using(prefix), |n: i32| format!("{prefix}{n}"));
}
