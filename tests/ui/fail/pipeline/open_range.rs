use runspace::pipeline;

fn main() {
    let squares: Vec<u64> = pipeline!(0.. | foreach_parallel(|n| n * n) | take(3) | collect());
    println!("{squares:?}");
}
