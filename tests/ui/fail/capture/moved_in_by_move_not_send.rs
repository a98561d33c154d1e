use runspace::foreach_parallel;

fn main() {
    let count = std::rc::Rc::new(1);
    foreach_parallel!(0..3, move |n| *count + n);
}
