use runspace::{Runspace, invoke};

fn main() {
    let runspace = Runspace::open().unwrap();
    let _ = invoke!(&runspace, 1 + 1);
}
