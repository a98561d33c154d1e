use runspace::pipeline;

fn main() {
    pipeline!();
}
