use runspace::foreach_parallel;

struct Config {
    factor: u32,
}

fn main() {
    let config = Config { factor: 2 };
    foreach_parallel!(0..3, on = process, using(config), |n: u32| n * config.factor);
}
