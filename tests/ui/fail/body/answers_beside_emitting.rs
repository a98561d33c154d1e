use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, |n: u32, job| {
        job.emit(n);
        n
    });
}
