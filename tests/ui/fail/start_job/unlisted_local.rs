use runspace::start_job;

fn main() {
    let number = 1;
    let _ = start_job!({ number + 1 });
}
