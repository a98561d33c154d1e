use runspace::foreach_parallel;

fn main() {
    foreach_parallel!([1], journal = "run.jsonl", |n: u32, job| job.emit(n)).wait();
}
