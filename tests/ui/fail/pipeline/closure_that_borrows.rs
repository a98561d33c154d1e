use runspace::pipeline;

fn main() {
    let offset = String::from("1");
    pipeline!(0..3 | map(|n| format!("{n}{offset}")) | foreach_parallel(|n| n));
}
