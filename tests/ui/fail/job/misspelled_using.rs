use runspace::start_thread_job;

fn main() {
    let text = String::from("a");
    let _ = start_thread_job!(usng(text), { text.len() });
}
