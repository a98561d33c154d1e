use runspace::start_job;

fn main() {
    let word = "text";
    let _ = start_job!(using(word), { word.len() });
}
