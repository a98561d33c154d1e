use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(0..3, journal = "run.jsonl", resume = true, |n| n);
}
