use runspace::start_thread_job;

fn main() {
    let text = String::from("a");
    let word = text.as_str();
    let _ = start_thread_job!(using(word), { word.len() });
}
