use runspace::foreach_parallel;

struct Config {
    path: String,
}

fn main() {
    let config = Config { path: String::from("a") };
    foreach_parallel!(0..3, using(config.path), |n: usize| config.path.len() + n);
}
