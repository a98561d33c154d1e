use runspace::start_job;

fn main() {
    let text = String::new();
    let _ = start_job!(using(part = &text), { part.len() });
}
