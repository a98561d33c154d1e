use runspace::start_job;

struct Config {
    factor: u32,
}

fn main() {
    let (config, number) = (Config { factor: 2 }, 3);
    let _ = start_job!(using(number, config), { number * config.factor });
}
