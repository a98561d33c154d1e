use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3_u32, |text: String| text.len());
}
