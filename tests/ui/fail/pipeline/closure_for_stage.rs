use runspace::pipeline;

fn main() {
    pipeline!(0..3 | |n| n + 1);
}
