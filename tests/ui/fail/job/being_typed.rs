use runspace::start_thread_job;

fn main() {
    let text = String::from("a");
    let _ = start_thread_job!(using(text), { text. });
    let still_checked: String = 1;
}
