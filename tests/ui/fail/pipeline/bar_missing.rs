use runspace::pipeline;

fn main() {
    pipeline!(0..3 | filter(|n| n % 2 == 0) foreach_parallel(|n| n));
}
