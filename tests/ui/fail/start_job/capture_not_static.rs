use runspace::start_job;

fn main() {
    let text = String::from("a");
    let word = text.as_str();
    let _ = start_job!(using(word), { word.len() });
}
