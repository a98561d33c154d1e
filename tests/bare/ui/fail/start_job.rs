use runspace::start_job;

fn main() {
    let job = start_job! {
        let a = 6;
        a * 7
    };
    assert_eq!(job.join().unwrap(), 42);
    start_job!(file = "git", args = ["status"]);
    start_job!(|job| job.emit(1));
}
