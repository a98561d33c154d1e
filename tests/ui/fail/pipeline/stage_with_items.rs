use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_parallel(0..3, |n: i32| n));
}
