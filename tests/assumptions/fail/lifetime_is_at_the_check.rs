//! What has to outlive the call is pointed at where a check of one value asks for it, not at the call.

fn check<T: 'static>() -> fn(T) -> T {
    |value| value
}

fn run<C: 'static>(_: C) {}

fn main() {
    let text = String::from("a");
    let word = text.as_str();
    run((check()(word), ()));
}
