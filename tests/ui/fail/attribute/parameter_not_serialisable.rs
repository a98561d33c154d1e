use runspace::start_job;

struct Config {
    factor: u32,
}

#[runspace::job]
fn work(number: u32, config: Config) -> u32 {
    number * config.factor
}

fn main() {
    let _ = start_job!(work(1, Config { factor: 2 }));
}
