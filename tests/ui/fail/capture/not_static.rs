use runspace::foreach_parallel;

fn main() {
    let text = String::from("a");
    let word = text.as_str();
    foreach_parallel!(0..3, using(word), |n: usize| word.len() + n);
}
