use runspace::start_job;

fn main() {
    let _ = start_job!(memmory = 1 << 20, { 1 });
}
