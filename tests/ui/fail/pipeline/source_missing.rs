use runspace::pipeline;

fn main() {
    pipeline!(| foreach_parallel(|n| n));
}
