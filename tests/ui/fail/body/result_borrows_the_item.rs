use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(vec![String::new()], |text: String| text.as_str());
}
