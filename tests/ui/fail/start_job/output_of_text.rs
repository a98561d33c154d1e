use runspace::start_job;

fn main() {
    let _ = start_job!({ "text" });
}
