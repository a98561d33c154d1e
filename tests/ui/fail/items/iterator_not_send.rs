use runspace::foreach_parallel;

fn main() {
    let step = std::rc::Rc::new(2);
    foreach_parallel!((0..3).map(move |n| n * *step), |n: u32| n);
}
