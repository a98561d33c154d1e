use runspace::pipeline;

fn main() {
    pipeline!(0..3 | count() | foreach_parallel(|n: usize| n));
}
