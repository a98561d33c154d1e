use runspace::foreach_parallel;

fn main() {
    let name = std::rc::Rc::new(1);
    foreach_parallel!(0..3, |n: u32| vec![format!("{}", $using:name), n.to_string()]);
}
