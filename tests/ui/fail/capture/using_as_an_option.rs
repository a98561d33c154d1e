use runspace::foreach_parallel;

fn main() {
    let text = String::from("a");
    foreach_parallel!(0..3, using = [text], |n: usize| text.len() + n);
}
