use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_paralel(throttle = 2, |n| n));
}
