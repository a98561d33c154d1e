use runspace::start_job;

fn main() {
    let a = 1;
    let _ = start_job!(file = "true", using(a));
}
