use runspace::pipeline;

fn main() {
    pipeline!(0..3 | crate::double(|n| n));
}
