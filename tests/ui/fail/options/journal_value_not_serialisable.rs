use runspace::foreach_parallel;

fn main() {
    foreach_parallel!(["a"], journal = "run.jsonl", |path| std::fs::read_to_string(path)).wait();
}
