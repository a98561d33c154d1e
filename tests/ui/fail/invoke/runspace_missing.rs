use runspace::invoke;

fn main() {
    let _ = invoke!({ 1 });
}
