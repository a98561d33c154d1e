use runspace::start_job;

fn main() {
    let text = String::from("a");
    let _ = start_job!(using(text), { text. });
    let still_checked: String = 1;
}
