use runspace::start_job;

#[runspace::job]
fn double(n: u32) -> u32 {
    2 * n
}

fn main() {
    assert_eq!(double(1), 2);
    start_job!(double(2));
}
