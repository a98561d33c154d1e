use runspace::foreach_parallel;

fn main() {
    let count = std::rc::Rc::new(1);
    runspace::scope(|scope| {
        foreach_parallel!(0..3, within = scope, using(&count), |n| **count + n).wait();
    });
}
