use runspace::{Runspace, invoke};

fn main() {
    let runspace = Runspace::open().unwrap();
    let _ = invoke!(&runspace, init(a = 1), { a });
}
