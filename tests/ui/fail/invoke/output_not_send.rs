use runspace::{Runspace, invoke};

fn main() {
    let runspace = Runspace::open().unwrap();
    let _ = invoke!(&runspace, { std::rc::Rc::new(1) });
}
