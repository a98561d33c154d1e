use runspace::foreach_parallel;

fn main() {
    foreach_parallel!();
}
