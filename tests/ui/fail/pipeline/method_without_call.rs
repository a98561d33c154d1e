use runspace::pipeline;

fn main() {
    let _: Vec<i32> = pipeline!(0..3 | foreach_parallel(|n| n) | collect);
}
