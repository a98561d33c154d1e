use runspace::pipeline;

fn main() {
    let sum: usize = pipeline!(
        ["one", "three"]
            | foreach_parallel(|word| word.to_owned())
            | foreach_parallel(on = process, |word: String| word.len())
            | sum()
    );
    assert_eq!(sum, 8);
}
