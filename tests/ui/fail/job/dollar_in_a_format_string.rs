use runspace::start_thread_job;

fn main() {
    let name = String::from("a");
    let _ = start_thread_job! { format!("{$using:name}") };
}
