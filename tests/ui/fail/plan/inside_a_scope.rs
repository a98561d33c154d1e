use runspace::foreach_parallel;

fn main() {
    runspace::scope(|scope| {
        foreach_parallel!(0..3, on = plan, within = scope, |n| n).wait();
    });
}
