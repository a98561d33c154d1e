use runspace::{Runspace, invoke};

fn main() {
    let runspace = Runspace::open().unwrap();
    let text = String::from("a");
    let word = text.as_str();
    let _ = invoke!(&runspace, using(word), { word.len() });
}
