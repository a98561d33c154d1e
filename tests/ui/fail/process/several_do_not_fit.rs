use runspace::foreach_parallel;

fn main() {
    struct Config(u32);
    let (a, b) = (Config(1), Config(2));
    foreach_parallel!(0..3, on = process, using(a, n = 3_u32, b), |x: u32| x + n + a.0 + b.0);
}
