use runspace::{Runspace, invoke};

fn main() {
    let runspace = Runspace::open().unwrap();
    let text = String::new();
    let _ = invoke!(&runspace, using(&text), { text.len() });
}
