use runspace::pipeline;

fn main() {
    let offset = 1;
    pipeline!(0..3 | foreach_parallel(|n| n) | foreach_parallel(using(&offset), |n| n + offset));
}
