use runspace::pipeline;

fn main() {
    pipeline!(5 | foreach_parallel(|n| n));
}
