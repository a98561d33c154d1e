use runspace::start_job;

#[runspace::job]
fn length(text: String) -> usize {
    text.len()
}

fn main() {
    start_job!(on = thread, { 1 });
    start_job!(on = cluster(&cluster), env = [("A", "b")], memory = 1 << 20, { 1 });
    start_job!(on = cluster(&cluster), length(String::new()));
    start_job!(on = cluster(&cluster), file = "true");
}
