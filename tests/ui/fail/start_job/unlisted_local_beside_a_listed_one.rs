use runspace::start_job;

fn main() {
    let (a, b) = (1, 2);
    let _ = start_job!(using(a), { a + b });
}
