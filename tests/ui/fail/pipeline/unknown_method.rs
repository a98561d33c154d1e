use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_parallel(|n| n) | fliter(|n| n % 2 == 0));
}
