use runspace::pipeline;

fn main() {
    pipeline!(0..3 | foreach_parallel(on = process, |n: u32| std::fs::File::open(n.to_string())));
}
