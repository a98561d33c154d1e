use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(["a", "b"], on = process, |word| word.len());
}
