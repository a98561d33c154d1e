use runspace::pipeline;

fn main() {
    let count = std::rc::Rc::new(1);
    pipeline!(0..3 | foreach_parallel(using(count), |n| n + *count));
}
