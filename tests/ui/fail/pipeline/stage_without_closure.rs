use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_parallel(throttle = 2));
}
