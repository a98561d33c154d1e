use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_parallel(|n| n) | foreach_parallel(|n: i32| n.len()));
}
