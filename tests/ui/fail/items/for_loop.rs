use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(for n in 0..3 { n });
}
